"""What `make bench-tracking` counts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from infra.bench_tracking import Followed, follow, sheet
from tests.edge.dots import DOTS_FP32, picture, standing

from plumbline_edge.bundle import open_bundle
from plumbline_edge.estimator import PoseEstimator


def test_lost_are_the_frames_after_the_first_in_which_somebody_is_seen() -> None:
    seen_T = np.array([False, False, True, True, False, True])
    found = Followed(np.zeros((6, 17, 3), np.float32), seen_T)
    assert (found.counted, found.lost) == (4, 1)
    assert found.second_differences().size == 0
    nobody = Followed(np.zeros((6, 17, 3), np.float32), np.zeros(6, bool))
    assert (nobody.counted, nobody.lost) == (6, 6)


def test_steady_motion_has_no_jitter_and_a_shake_has_its_own_in_torso_lengths() -> None:
    standing_K3 = standing(240, 30, 300)
    moving_TK3 = np.stack([standing_K3 + np.array([3 * frame, 0, 0]) for frame in range(10)]).astype(np.float32)
    moving_TK3[..., 2] = 1
    assert Followed(moving_TK3, np.ones(10, bool)).second_differences().max() < 1e-4
    torso = abs(standing_K3[[5, 6], 1].mean() - standing_K3[[11, 12], 1].mean())
    shaking_TK3 = moving_TK3 + np.array([0, 1, 0], np.float32) * (np.arange(10) % 2)[:, None, None]
    jitter = Followed(shaking_TK3.astype(np.float32), np.ones(10, bool)).second_differences()
    assert jitter.mean() == pytest.approx(2 / torso, rel=0.05)


def test_a_clip_is_followed_and_its_sheet_shows_every_model(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    images = [picture(standing(240 + frame, 30, 300)) for frame in range(12)]
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 30, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    model = open_bundle(DOTS_FP32).load_model(1)
    found = follow(PoseEstimator(model, lambda stage, seconds: None), clip)
    assert found.keypoints_TK3.shape == (12, 17, 3)
    assert found.counted >= 10
    assert found.lost == 0
    sheet(clip, {"one": found, "two": found}, tmp_path / "sheet.jpg")
    drawn = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert drawn is not None
    assert drawn.shape[:2] == (2 * round(320 * images[0].shape[0] / images[0].shape[1]), 6 * 320)
