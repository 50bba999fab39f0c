"""Losses fall towards the target and ignore what is not labelled."""

from __future__ import annotations

import pytest
import torch

from plumbline_training.losses import LOSSES, spatial_loss
from plumbline_training.targets import Targets, gaussian_targets


def one_target() -> Targets:
    return gaussian_targets(torch.tensor([[[40.0, 60.0, 1.0], [80.0, 90.0, 0.0]]]), 32, 24, 4.0, 1.5)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_the_target_itself_has_the_least_loss(name: str) -> None:
    targets = one_target()
    perfect = torch.logit(targets.heatmaps_BKHW.clamp(1e-6, 1 - 1e-6))
    best = float(LOSSES[name](perfect, targets))
    for other in (torch.zeros_like(perfect), torch.full_like(perfect, -5.0), perfect.roll(2, dims=3)):
        assert float(LOSSES[name](other, targets)) > best + 0.1


def test_mse_is_half_the_mean_square_over_labelled_maps() -> None:
    targets = one_target()
    shifted = targets.heatmaps_BKHW + torch.tensor([0.2, 5.0])[None, :, None, None]
    assert float(LOSSES["mse"](shifted, targets)) == pytest.approx(0.5 * 0.2**2, rel=1e-5)


@pytest.mark.parametrize("loss", [*LOSSES.values(), spatial_loss])
def test_an_unlabelled_keypoint_has_no_gradient(loss) -> None:  # type: ignore[no-untyped-def]
    targets = one_target()
    logits = torch.zeros(1, 2, 32, 24, requires_grad=True)
    loss(logits, targets).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, 0].abs().sum()) > 0
    assert float(logits.grad[:, 1].abs().sum()) == 0


def test_the_spatial_loss_ignores_a_constant() -> None:
    targets = one_target()
    logits = torch.rand(1, 2, 32, 24)
    assert float(spatial_loss(logits + 7, targets)) == pytest.approx(float(spatial_loss(logits, targets)), abs=1e-4)
