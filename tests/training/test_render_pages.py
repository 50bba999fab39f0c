"""The gallery and the realism check on made files; no body model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.box import Box
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.datasets import DatasetEntry, load_dataset
from plumbline_training.render.check import measurable, measure, torso_px
from plumbline_training.render.coco import document
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.gallery import write_gallery


def standing_keypoints() -> list[float]:
    """Of a person 160 pixels tall, the right wrist hidden, the left ankle outside."""
    places = [(100, 40), (104, 36), (96, 36), (108, 38), (92, 38), (120, 60), (80, 60), (126, 90), (74, 90), (128, 118),
              (72, 118), (112, 120), (88, 120), (112, 160), (88, 160), (0, 0), (88, 196)]  # fmt: skip
    flags = [2] * NUM_KEYPOINTS
    flags[10], flags[15] = 1, 0
    return [value for (x, y), flag in zip(places, flags, strict=True) for value in (float(x), float(y), float(flag))]


def made_set(folder: Path, exercise: str = "squat") -> Path:
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "1_000000.jpg"), np.full((200, 200, 3), 90, np.uint8))
    person: dict[str, Any] = {
        "keypoints": standing_keypoints(),
        "bbox": [70, 30, 62, 170],
        "area": 6000.0,
        "exercise": exercise,
    }
    part = {"file_name": "1_000000.jpg", "height": 200, "width": 200, "persons": [person]}
    (folder / "person_keypoints.json").write_text(json.dumps(document([part], {"seed": 1})))
    return folder


def made_clip(folder: Path) -> None:
    (folder / "clips").mkdir()
    clip = {
        "exercise": "push_up", "video": "1_000000.mp4", "camera": {"view": "side"}, "repetitions": [{}, {}],
        "faults": [{"name": "hips_sag", "severity": "mild"}],
    }  # fmt: skip
    (folder / "clips" / "1_000000.json").write_text(json.dumps(clip))


def test_the_gallery_shows_pictures_and_clips_with_relative_links(tmp_path: Path) -> None:
    folder = made_set(tmp_path / "set", exercise="<b>squat</b>")
    made_clip(folder)
    page = write_gallery(folder, 10).read_text()
    assert 'src="images/1_000000.jpg"' in page
    assert 'src="clips/1_000000.mp4"' in page
    assert "hips_sag (mild) 1x" in page
    assert "<b>squat" not in page, "what a file says is text"
    assert page.count("<circle") == NUM_KEYPOINTS - 1
    assert page.count('fill="none"') == 1, "the hidden wrist is hollow"
    assert page.count("stroke-dasharray") == 1, "the forearm that ends in it is dashed"


def test_a_damaged_annotation_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "person_keypoints.json").write_text("{")
    with pytest.raises(InvalidRequest, match="is no COCO keypoint file"):
        write_gallery(tmp_path, 10)


class Shifted:
    """Finds every keypoint so many pixels to the right of the truth."""

    stage: Stage = "torch"
    precision: Precision = "fp32"

    def __init__(self, keypoints_K3: npt.NDArray[np.float32], pixels: float) -> None:
        self._found_K3 = keypoints_K3 + np.array([pixels, 0, 0], np.float32)

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        return np.stack([self._found_K3 for _ in boxes])


def test_the_error_is_in_torso_lengths(tmp_path: Path) -> None:
    folder = made_set(tmp_path / "set")
    dataset = load_dataset(
        DatasetEntry(id="made", annotations=folder / "person_keypoints.json", images=folder / "images")
    )
    (person,) = measurable(dataset, 5)
    assert torso_px(person.keypoints_K3) == pytest.approx(60)
    near, far = (measure(Shifted(person.keypoints_K3, pixels), [person], "made") for pixels in (0.0, 15.0))
    assert (near.mean, near.oks, near.pck) == pytest.approx((0, 1, 1))
    assert far.mean == pytest.approx(0.25)
    assert far.pck == 0
    assert far.oks < 0.8


def test_a_set_without_a_torso_can_not_be_measured(tmp_path: Path) -> None:
    folder = made_set(tmp_path / "set")
    path = folder / "person_keypoints.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["keypoints"][5 * 3 + 2] = 0
    path.write_text(json.dumps(content))
    dataset = load_dataset(DatasetEntry(id="made", annotations=path, images=folder / "images"))
    with pytest.raises(InvalidRequest, match="nobody shows a torso"):
        measurable(dataset, 5)
