"""Frames of videos become COCO labels where a teacher sees the same twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from plumbline_contract.box import Box
from plumbline_contract.manifest import Precision, Stage
from plumbline_contract.preprocess import Image
from plumbline_training.errors import InvalidDataset
from plumbline_training.video_teacher import follow, label_clips, pictures


class _Spotter:
    """Sees a person beside the bright spot of the box, in the same order of sides in every picture."""

    stage: Stage = "tflite"
    precision: Precision = "fp32"

    def __init__(self, unsure: Sequence[int] = (), unsteady: Sequence[int] = ()) -> None:
        self.boxes: list[Box] = []
        self._unsure, self._unsteady = list(unsure), list(unsteady)

    def __call__(self, image_bgr_HW3: Image, boxes: Sequence[Box]) -> npt.NDArray[np.float32]:
        (box,) = boxes
        self.boxes.append(box)
        row, column = np.unravel_index(image_bgr_HW3.max(axis=2).argmax(), image_bgr_HW3.shape[:2])
        lit = image_bgr_HW3.max() > 200
        points_K3 = np.array([(column, row + 3 * index, 0.9 * lit) for index in range(17)], np.float32)
        points_K3[self._unsure, 2] = 0.1
        # The mirrored look is the second one of each pair.
        points_K3[self._unsteady, 1] += 40 * (len(self.boxes) % 2)
        return points_K3[None]


def picture(column: int) -> Image:
    drawn = np.zeros((80, 120, 3), np.uint8)
    drawn[20, column] = 255
    return drawn


def test_a_person_is_followed_and_sought_anew_when_lost() -> None:
    teacher = _Spotter()
    frames = iter([(0, picture(40)), (3, picture(44)), (6, np.zeros((80, 120, 3), np.uint8)), (9, picture(70))])
    labels = {number: label_K3 for number, _, label_K3 in follow(frames, teacher, 0.4)}
    assert list(labels) == [0, 3, 9]
    assert np.allclose(labels[3][:, 0], 44)
    assert (labels[9][:, 2] == 2).all()
    # Looks come in pairs: the whole picture, the person, where it was, nothing there, the whole again, the person.
    widths = [box.width for box in teacher.boxes[::2]]
    assert [width == 120 for width in widths] == [True, False, False, False, True, False]


def test_what_the_teacher_is_not_sure_of_or_sees_at_two_places_is_no_label() -> None:
    teacher = _Spotter(unsure=(0,), unsteady=(5, 6))
    (_, _, label_K3), *_ = follow(iter([(0, picture(40))]), teacher, 0.4)
    assert np.flatnonzero(label_K3[:, 2] == 0).tolist() == [0, 5, 6]
    assert (label_K3[label_K3[:, 2] == 0] == 0).all()


def test_labels_are_coco_keypoints_beside_their_pictures(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (120, 80))
    for column in range(40, 50):
        video.write(picture(column))
    video.release()
    label_clips([clip], _Spotter(), tmp_path / "out", every=4, min_score=0.4)
    content = json.loads((tmp_path / "out" / "person_keypoints.json").read_bytes())
    assert [image["file_name"] for image in content["images"]] == [f"clip_{n:06d}.jpg" for n in (0, 4, 8)]
    for image, item, column in zip(content["images"], content["annotations"], (40, 44, 48), strict=True):
        written = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert written is not None
        assert written.shape == (80, 120, 3)
        assert item["image_id"] == image["id"]
        assert item["num_keypoints"] == 17
        assert abs(item["keypoints"][0] - column) <= 1
        left, top, width, height = item["bbox"]
        assert left <= column <= left + width
        assert top <= 20
        assert top + height >= 20 + 3 * 16


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(InvalidDataset, match=r"a\.mp4.*no frame"):
        list(pictures(tmp_path / "a.mp4", 1))


def test_clips_in_which_nobody_is_seen_write_no_labels(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (120, 80))
    video.write(np.zeros((80, 120, 3), np.uint8))
    video.release()
    with pytest.raises(InvalidDataset, match="nobody"):
        label_clips([clip], _Spotter(), tmp_path / "out", every=1, min_score=0.4)
    assert not (tmp_path / "out" / "person_keypoints.json").exists()
