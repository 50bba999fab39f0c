"""`plumbline-edge analyze` on recordings of dots: the report's numbers, its page, and its mistakes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.edge.dots import DOTS_FP32, squats, write_pictures

from plumbline_edge.cli import main


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


def test_what_is_no_recording_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(tmp_path / "gone.mp4") == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    assert analyze(tmp_path / "noise.mp4") == 2
    assert capsys.readouterr().err.startswith("error: source")
    assert list(tmp_path.glob("*-analysis")) == []


def test_an_output_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_pictures(tmp_path / "squats", squats(1))
    (tmp_path / "taken").write_text("")
    assert analyze(video, "--out", tmp_path / "taken") == 2
    assert "--out" in capsys.readouterr().err
