"""Drawn heatmaps decode to the keypoints they were drawn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plumbline_contract.decode import decode_blob, decode_dark, heatmap_to_input
from plumbline_training.targets import disc_targets, gaussian_targets


def random_keypoints(count: int = 8) -> torch.Tensor:
    generator = np.random.default_rng(3)
    points = generator.uniform([30, 30], [160, 220], (2, count, 2))
    return torch.tensor(np.concatenate([points, np.ones((2, count, 1))], axis=-1), dtype=torch.float32)


def test_dark_reads_back_a_gaussian_within_a_tenth_of_a_pixel() -> None:
    keypoints_BK3 = random_keypoints()
    targets = gaussian_targets(keypoints_BK3, 64, 48, 4.0, 2.0)
    found = heatmap_to_input(decode_dark(targets.heatmaps_BKHW.numpy())[..., :2], 4.0)
    assert np.abs(found - keypoints_BK3[..., :2].numpy()).max() < 0.1 * 4


def test_the_blob_centroid_reads_back_a_disc_within_a_heatmap_pixel() -> None:
    keypoints_BK3 = random_keypoints()
    targets = disc_targets(keypoints_BK3, 64, 48, 4.0, 6.0)
    assert set(np.unique(targets.heatmaps_BKHW.numpy())) == {0.0, 1.0}
    found = heatmap_to_input(decode_blob(targets.heatmaps_BKHW.numpy())[..., :2], 4.0)
    assert np.abs(found - keypoints_BK3[..., :2].numpy()).max() < 4


def test_a_keypoint_outside_the_crop_is_labelled_but_has_an_empty_map() -> None:
    keypoints_BK3 = torch.tensor([[[-20.0, 10.0, 1.0], [20.0, 10.0, 0.0], [20.0, 10.0, 1.0]]])
    targets = gaussian_targets(keypoints_BK3, 64, 48, 4.0, 2.0)
    assert targets.labelled_BK.tolist() == [[1.0, 0.0, 1.0]]
    assert targets.inside_BK.tolist() == [[0.0, 0.0, 1.0]]
    assert targets.heatmaps_BKHW.amax(dim=(2, 3))[0].tolist() == pytest.approx([0.0, 0.0, 0.96], abs=0.05)
