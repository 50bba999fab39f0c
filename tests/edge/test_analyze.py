"""`plumbline-edge analyze` on recordings of dots: the report's numbers, its page, and its mistakes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.edge.dots import DOTS_FP32, picture, squats, write_pictures

from plumbline_contract.form import Verdict
from plumbline_edge.analysis import Analysis
from plumbline_edge.cli import main
from plumbline_edge.tracker import Tracker, TrackerConfig

JUDGE = Path(__file__).parents[2] / "models" / "form-judge"


class Outline(HTMLParser):
    """What a page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def analyze(*arguments: str | Path) -> int:
    return main(["analyze", *map(str, arguments), "--bundle", str(DOTS_FP32)])


def test_a_recording_becomes_a_page_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_pictures(tmp_path / "squats", squats(2))
    assert analyze(video) == 0
    assert "analysis reps=2" in capsys.readouterr().out
    data = json.loads((tmp_path / "squats-analysis" / "report.json").read_text(encoding="utf-8"))
    assert data["reps"] == sum(attempt["counted"] for attempt in data["attempts"]) == 2
    assert len(data["times_seconds"]) == len(data["progress"]) == data["frames"]
    assert all(len(values) == data["frames"] for values in data["curves"].values())
    outline = Outline()
    outline.feed((tmp_path / "squats-analysis" / "report.html").read_text(encoding="utf-8"))
    assert outline.tags.count("tr") == 3
    assert "polyline" in outline.tags
    assert all(source.startswith("data:") for source in outline.sources), "the page must ask nobody for anything"


@pytest.mark.parametrize("how", ["analyze", "run"])
@pytest.mark.parametrize(
    ("rate", "exercise", "is_told"), [(3.0, "squat", True), (3.0, "sitting", False), (10.0, "squat", False)]
)
def test_a_recording_with_too_few_pictures_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, rate: float, exercise: str, is_told: bool
) -> None:
    video = tmp_path / "squats.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), rate, (480, 360))
    for keypoints_K3 in squats(1, rate=rate):
        writer.write(picture(keypoints_K3))
    writer.release()
    once = ["--once", "--source", str(video)] if how == "run" else [str(video)]
    assert main([how, *once, "--exercise", exercise, "--bundle", str(DOTS_FP32)]) == 0
    said = "".join(capsys.readouterr())
    assert ("3.0 frames a second are too few to count and judge repetitions by" in said) is is_told


def test_a_folder_named_by_a_dot_has_its_report_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_pictures(tmp_path / "squats", squats(1)))
    assert analyze(".") == 0
    report = tmp_path / "squats-analysis" / "report.json"
    assert json.loads(report.read_text(encoding="utf-8"))["source"] == "squats"


def test_a_recording_is_turned_and_judged_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heads_down = write_pictures(tmp_path / "turned", squats(3))
    for path in heads_down.iterdir():
        cv2.imwrite(str(path), np.rot90(np.asarray(cv2.imread(str(path))), 2))
    monkeypatch.setenv("PLUMBLINE_EDGE_ROTATE", "180")
    monkeypatch.setenv("PLUMBLINE_EDGE_PERSON", "left")
    monkeypatch.setenv("PLUMBLINE_EDGE_JUDGE", str(JUDGE))
    asked, followed = list[Verdict | None](), list[str]()
    take, track = Analysis.take, Tracker.__init__

    def taking(self: Analysis, *arguments: Any) -> None:
        asked.append(arguments[-1])
        take(self, *arguments)

    def tracking(self: Tracker, config: TrackerConfig | None = None) -> None:
        followed.append("" if config is None else config.whom)
        track(self, config)

    monkeypatch.setattr(Analysis, "take", taking)
    monkeypatch.setattr(Tracker, "__init__", tracking)
    assert analyze(heads_down) == 0
    assert "analysis reps=3" in capsys.readouterr().out
    assert sum(verdict is not None for verdict in asked) > 20
    assert followed == ["left"]


def test_what_is_no_recording_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(tmp_path / "gone.mp4") == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    assert analyze(tmp_path / "noise.mp4") == 2
    assert capsys.readouterr().err.startswith("error: source")
    assert list(tmp_path.glob("*-analysis")) == []
    assert analyze("~nobody-of-this-name/x.mp4") == 2
    assert capsys.readouterr().err.startswith("error: source '~nobody-of-this-name/x.mp4': ")


def test_an_output_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_pictures(tmp_path / "squats", squats(1))
    (tmp_path / "taken").write_text("")
    assert analyze(video, "--out", tmp_path / "taken") == 2
    assert "--out" in capsys.readouterr().err
