"""The sample clip in samples/: it can be read, and its json is true."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plumbline_contract.skeleton import Keypoint

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SAMPLES / "squats.json").read_text())
    return document


def test_the_clip_has_the_frames_that_the_json_says(described: dict[str, Any]) -> None:
    video = cv2.VideoCapture(str(SAMPLES / "squats.mp4"))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == described["frame_count"] == len(described["keypoints"])
    assert video.get(cv2.CAP_PROP_FPS) == described["fps"] == 30
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == described["width"]
    assert video.get(cv2.CAP_PROP_FRAME_HEIGHT) == described["height"]
    assert (SAMPLES / "squats.mp4").stat().st_size < 2_000_000


def test_the_whole_person_stays_in_view(described: dict[str, Any]) -> None:
    xy = np.array(described["keypoints"])[..., :2]
    assert xy.min() > 10
    assert xy[..., 0].max() < described["width"] - 10
    assert xy[..., 1].max() < described["height"] - 10


def test_the_hips_reach_the_knees_in_every_repetition_but_the_third(described: dict[str, Any]) -> None:
    y = np.array(described["keypoints"])[..., 1]
    hips = y[:, [Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP]].mean(axis=1)
    knees = y[:, [Keypoint.LEFT_KNEE, Keypoint.RIGHT_KNEE]].mean(axis=1)
    ankles = y[:, [Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE]].mean(axis=1)
    bottoms = [repetition["bottom_frame"] for repetition in described["repetitions"]]
    above = ((knees - hips) / (ankles - knees))[bottoms]
    assert described["too_shallow"] == [3]
    assert above[2] > 0.6
    assert np.delete(above, 2).max() < 0.2


def test_the_feet_stay_planted(described: dict[str, Any]) -> None:
    ankles = np.array(described["keypoints"])[:, [Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE], :2]
    assert np.ptp(ankles, axis=0).max() < 2.5
