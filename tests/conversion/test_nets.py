"""Every net that training can build becomes one XNNPACK partition without a Transpose, and computes the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conversion.graphs import run_onnx_file
from tests.conversion.nets import write_untrained

from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import check_onnx
from plumbline_training.architectures import ARCHITECTURES

LARGE = {("hrnet_w32", 256, 192), ("hrnet_w32", 384, 288), ("hrnet_w48", 384, 288), ("hourglass_8", 256, 192)}
SIZES = [(name, 256, 192) for name in ARCHITECTURES if name != "hrnet_w48"] + sorted(
    LARGE - {("hourglass_8", 256, 192)}
)
CASES = [
    pytest.param(*size, marks=[pytest.mark.nets] if size in LARGE else [], id="-".join(map(str, size)))
    for size in dict.fromkeys(SIZES)
]
LOWER = """
import sys
from pathlib import Path
from plumbline_conversion.steps import lower, translate
translate(Path(sys.argv[1]), Path("unused"), Path(sys.argv[2] + ".saved"), form="normalised")
lower(Path(sys.argv[2] + ".saved"), Path(sys.argv[2]))
"""


def test_no_architecture_is_left_out() -> None:
    assert {size[0] for size in SIZES} == set(ARCHITECTURES)


@pytest.mark.parametrize(("name", "height", "width"), CASES)
def test_a_net_converts_whole(name: str, height: int, width: int, tmp_path: Path) -> None:
    onnx_path = write_untrained(name, height, width, tmp_path / "model.onnx")
    if name != "centre_net":  # finds many people: more maps than one person's keypoints, so no bundle is made of it
        check_onnx(onnx_path, tmp_path / "record.json")
    # TensorFlow keeps the gigabytes that a large net takes: a process of its own gives them back.
    subprocess.run([sys.executable, "-c", LOWER, str(onnx_path), str(tmp_path / "model.tflite")], check=True)
    model = TFLiteModel(tmp_path / "model.tflite", threads=2)
    facts = model.graph_facts()
    assert facts.transposes == 0
    assert facts.partitions == 1
    image = np.random.default_rng(0).normal(size=(1, 3, height, width)).astype(np.float32)
    expected_HWK = run_onnx_file(onnx_path, image)[0].transpose(1, 2, 0)
    actual_HWK = model.run(np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    assert np.abs(actual_HWK - expected_HWK).max() <= 1e-3 * np.ptp(expected_HWK)
