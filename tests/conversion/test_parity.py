"""Parity is measured on keypoints that count, and a loss says how much and where."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from tests.conversion.graphs import HEIGHT, WIDTH, export_record

from plumbline_contract.manifest import Precision
from plumbline_contract.skeleton import OKS_SIGMAS
from plumbline_conversion.errors import ParityLost
from plumbline_conversion.parity import Comparison, compare, require_parity
from plumbline_conversion.plan import DEFAULT_LIMITS, ParityLimit

TARGET = {"height": HEIGHT // 4, "width": WIDTH // 4, "layout": "NCHW", "decode": "argmax"}
RECORD = export_record(output=TARGET)
NAMES = ("first.png", "second.png")


def peaks(row: int, column: int, height: float = 1.0) -> npt.NDArray[np.float32]:
    """Heatmaps (2, 16, 12, 17) that are zero but for one peak each."""
    heatmaps_NHWK = np.zeros((2, 16, 12, 17), np.float32)
    heatmaps_NHWK[:, row, column] = height
    return heatmaps_NHWK


def compared(
    reference: npt.NDArray[np.float32], candidate: npt.NDArray[np.float32], precision: Precision = "fp32"
) -> Comparison:
    return compare(reference, candidate, NAMES, record=RECORD, precision=precision, min_score=0.3)


def test_equal_heatmaps_are_at_zero() -> None:
    parity = compared(peaks(5, 5), peaks(5, 5)).parity
    assert (parity.heatmap_max_abs, parity.keypoint_max_px, parity.keypoints_compared) == (0, 0, 34)


def test_worst_keypoint_is_named_with_its_picture() -> None:
    candidate = peaks(5, 5)
    candidate[1, 5, 5, 9], candidate[1, 5, 8, 9] = 0, 0.9
    comparison = compared(peaks(5, 5), candidate)
    assert comparison.parity.keypoint_max_px == 3
    assert comparison.parity.heatmap_max_abs == 1
    with pytest.raises(
        ParityLost, match=r"left_wrist of second\.png went from \(5\.00, 5\.00\) scored 1\.00 to \(8\.00"
    ):
        require_parity(comparison, DEFAULT_LIMITS["fp32"])


def test_keypoints_below_the_score_do_not_count() -> None:
    comparison = compared(peaks(5, 5, 0.2), peaks(9, 9, 0.2))
    assert comparison.parity.keypoints_compared == 0
    require_parity(comparison, ParityLimit(heatmap_share=None, keypoint_p99_px=0))


@pytest.mark.parametrize(
    ("precision", "shift", "lost"), [("fp32", 2e-3, True), ("fp16", 2e-3, False), ("int8", 0.1, False)]
)
def test_heatmap_limit_depends_on_the_precision(precision: Precision, shift: float, lost: bool) -> None:
    comparison = compared(peaks(5, 5), peaks(5, 5) + np.float32(shift), precision)
    if lost:
        with pytest.raises(ParityLost, match="heatmap max abs"):
            require_parity(comparison, DEFAULT_LIMITS[precision])
    else:
        require_parity(comparison, DEFAULT_LIMITS[precision])


def test_similarity_is_cocos_with_the_crops_own_person() -> None:
    sigma, area = OKS_SIGMAS[9], 0.5 * (HEIGHT // 4) * (WIDTH // 4)
    candidate = peaks(5, 5)
    candidate[:, 5, 5, 9], candidate[:, 5, 8, 9] = 0, 0.9
    moved = np.exp(-(3**2) / (2 * (2 * sigma) ** 2 * area))
    assert compared(peaks(5, 5), candidate).parity.oks == pytest.approx((16 + moved) / 17)
    with pytest.raises(ParityLost, match=r"OKS 0\.\d+ < 0\.99"):
        require_parity(compared(peaks(5, 5), candidate), ParityLimit(None, None, oks=0.99))


def test_values_that_are_not_finite() -> None:
    with pytest.raises(ParityLost, match="not finite"):
        compared(peaks(5, 5), np.full_like(peaks(5, 5), np.nan))
