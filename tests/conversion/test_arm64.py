"""`make test-arm64`: an emulated Pi's processor, with the wheels that a Pi installs, gives the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conversion.comparing import CLIP, clip_crops, farthest, heatmaps_of
from tests.conversion.environments import arm64_python
from tests.conversion.nets import write_shipped

from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.pipeline import Draft, convert
from plumbline_conversion.plan import DEFAULT_LIMITS, PRECISIONS, ImageSource, InputForm, ParityLimit, Plan
from plumbline_conversion.runtimes import check_runtime

pytestmark = pytest.mark.arm64


@pytest.fixture(scope="module")
def pi() -> list[str]:
    """The command that runs an aarch64 Python."""
    return arm64_python()


@pytest.mark.parametrize("form", ["normalised", "uint8"])
def test_files_give_the_same_on_arm64(form: InputForm, pi: list[str], tmp_path: Path) -> None:
    record_path = tmp_path / "out" / ".steps" / "record.json"
    quantised = ParityLimit(heatmap_share=None, keypoint_p99_px=None, oks=0.9)
    plan = Plan(
        onnx_path=write_shipped(tmp_path / "model.onnx"),
        out_dir=tmp_path / "out",
        version="0.1.0",
        calibration=ImageSource(CLIP),
        golden=ImageSource(CLIP),
        calibration_samples=40,
        form=form,
        limits={**DEFAULT_LIMITS, "dynamic": quantised, "int8": quantised},
    )
    drafts = {draft.manifest.precision: draft for draft in convert(plan, print)}
    assert set(drafts) == set(PRECISIONS)
    for draft in drafts.values():
        here, there = _both(draft, pi)
        distance, compared = farthest(here, there, load_record(record_path))
        assert compared >= 25
        if draft.manifest.precision in ("fp32", "fp16"):
            assert np.abs(here - there).max() < 1e-4
            assert distance < 0.05
        elif draft.manifest.output.quantisation is not None:
            step = draft.manifest.output.quantisation.scale
            assert np.abs(here - there).max() <= 1.01 * step
        else:
            assert np.abs(here - there).max() < 0.05


def _both(draft: Draft, pi: list[str]) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]:
    """Heatmaps (N, K, h, w) of this machine and of the emulated one, dequantised."""
    manifest, model = draft.manifest, draft.bundle_dir / "model.tflite"
    tensors_NHW3 = to_tensor(clip_crops(manifest.input, 3), manifest.input)
    probed = check_runtime(pi, model, tensors_NHW3[:, None])
    assert probed.check.runtime.startswith("ai-edge-litert")
    assert probed.outputs is not None
    there = np.moveaxis(probed.outputs[:, 0], -1, 1).astype(np.float32)
    if (quantisation := manifest.output.quantisation) is not None:
        there = ((there - quantisation.zero_point) * quantisation.scale).astype(np.float32)
    return heatmaps_of(model, tensors_NHW3), there
