"""Own photographs: overlays and a COCO file, and a clear word on what could not be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

MakeDataset = Callable[[Path, int], Path]
MODEL = Path(__file__).parents[2] / "models" / "hrnet-edge-s"


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "plumbline-predict"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def photographs(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    make_dataset(tmp_path / "made", 3)
    return tmp_path / "made" / "images"


def test_a_folder_becomes_overlays_and_a_coco_file(photographs: Path, tmp_path: Path) -> None:
    (photographs / "notes.txt").write_text("no picture")
    done = predict(photographs, "--model", MODEL, "--out", tmp_path / "out", "--min-score", 0.01, "--quiet")
    assert done.returncode == 0, done.stderr
    found = COCO(str(tmp_path / "out" / "keypoints.json"))
    assert [image["file_name"] for image in found.dataset["images"]] == ["0001.jpg", "0002.jpg", "0003.jpg"]
    assert [len(item["keypoints"]) for item in found.dataset["annotations"]] == [51] * 3
    overlay = cv2.imread(str(tmp_path / "out" / "overlays" / "0002.jpg.jpg"))
    original = cv2.imread(str(photographs / "0002.jpg"))
    assert overlay is not None
    assert original is not None
    assert np.abs(overlay.astype(int) - original).max() > 100


def test_boxes_may_come_from_a_coco_file(photographs: Path, tmp_path: Path) -> None:
    boxes = photographs.parent / "person_keypoints.json"
    done = predict(photographs, "--model", MODEL, "--out", tmp_path / "out", "--boxes", boxes)
    assert done.returncode == 0, done.stderr
    found = COCO(str(tmp_path / "out" / "keypoints.json"))
    assert [item["image_id"] for item in found.dataset["annotations"]] == [1, 2, 3]


def test_given_boxes_are_used_and_a_picture_without_one_says_so(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps({"0001.jpg": [[5, 5, 80, 85], [1, 1, 40, 90]]}))
    done = predict(photographs, "--model", MODEL, "--out", tmp_path / "out", "--boxes", tmp_path / "boxes.json")
    annotations = json.loads((tmp_path / "out" / "keypoints.json").read_text())["annotations"]
    assert [item["image_id"] for item in annotations] == [1, 1]
    assert "with nobody sure enough" in done.stdout


def test_a_broken_picture_is_listed_and_the_rest_is_done(photographs: Path, tmp_path: Path) -> None:
    broken = photographs / "0002.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    done = predict(photographs, "--model", MODEL, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 1
    assert "cannot be decoded: 0002.jpg" in done.stderr
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 2


def test_a_wrong_folder_is_one_clear_line(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, out, message in (
        (tmp_path / "empty", tmp_path / "out", "holds no picture"),
        (tmp_path / "gone", tmp_path / "out", "is no folder"),
        (photographs, photographs, "choose another"),
    ):
        done = predict(folder, "--model", MODEL, "--out", out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr
    assert not (tmp_path / "out").exists()
