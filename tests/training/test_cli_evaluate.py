"""The figures reach the screen, JSON, the page and the results file that pycocotools reads."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from plumbline_training import engine, recipes
from plumbline_training.datasets import load_dataset, load_dataset_list

MakeDataset = Callable[[Path, int], Path]


class Tags(HTMLParser):
    """Counts elements, and pictures without an alternative."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.mute = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = self.found.get(tag, 0) + 1
        values = dict(attrs)
        self.mute += tag == "img" and not (values.get("alt") and (values["src"] or "").startswith("data:image/"))


@pytest.fixture(scope="module")
def run(make_dataset: MakeDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("run")
    data = make_dataset(folder / "data", 24)
    dataset = load_dataset(load_dataset_list(data).train[0])
    return data, engine.train(recipes.tiny(), [dataset], dataset, folder / "run", quiet=True)


def evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "plumbline-evaluate"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_everything_is_written_and_agrees(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, best = run
    boxes = [{"image_id": number, "category_id": 1, "bbox": [5, 5, 85, 85], "score": 0.9} for number in range(1, 25)]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    outputs = ["--json", tmp_path / "ap.json", "--html", tmp_path / "ap.html"]
    done = evaluate("--data", data, best, "--flip", "--detections", tmp_path / "boxes.json", *outputs)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.endswith(str(best))]
    assert ["ground-truth" in lines[0], "detected" in lines[1]] == [True, True]
    assert "NaN" not in (tmp_path / "ap.json").read_text()
    figures = json.loads((tmp_path / "ap.json").read_text())[str(best)]
    assert [item["boxes"] for item in figures["evaluations"]] == ["ground-truth", "detected"]
    assert len(figures["oks_by_keypoint"]) == 17
    page = Tags()
    page.feed((tmp_path / "ap.html").read_text(encoding="utf-8"))
    assert page.found["figure"] == 20
    assert page.found["img"] == 22
    assert page.mute == 0
    assert "script" not in page.found


def test_the_results_file_gives_pycocotools_the_same_ap(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, best = run
    done = evaluate("--data", data, best, "--json", tmp_path / "ap.json", "--results", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data.parent / "person_keypoints.json"))
        coco_eval = COCOeval(truth, truth.loadRes(str(tmp_path / "found.json")), "keypoints")
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
    (figures,) = json.loads((tmp_path / "ap.json").read_text())[str(best)]["evaluations"]
    measured = [figures[key] for key in ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar")]
    assert measured == pytest.approx(list(coco_eval.stats[:6]))


def test_an_impossible_output_is_said_before_the_work(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, best = run
    done = evaluate("--data", data, best, best, "--results", tmp_path / "found.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "name one model" in done.stderr
    done = evaluate("--data", data, best, "--html", tmp_path / "gone" / "ap.html")
    assert "make it first" in done.stderr


def test_figures_of_a_flipped_model_do_not_go_into_a_manifest(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, _ = run
    done = evaluate("--data", data, tmp_path / "int8", "--flip", "--into-manifest")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "drop --flip" in done.stderr
