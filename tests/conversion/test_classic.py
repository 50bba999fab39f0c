"""`make test-onnx-tf`: the classic translator agrees with ours by every keypoint, and the older runtime with both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.conversion.comparing import farthest, heatmaps_of, tensors_of
from tests.conversion.environments import environment
from tests.conversion.graphs import save_mini_hrnet
from tests.conversion.nets import write_shipped, write_untrained
from tests.conversion.pictures import write_pictures

from plumbline_contract.manifest import Precision
from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import check_onnx, load_record
from plumbline_conversion.pipeline import convert
from plumbline_conversion.plan import PRECISIONS, ImageSource, Plan
from plumbline_conversion.runtimes import check_runtime

pytestmark = pytest.mark.onnx_tf

LOWER = """
import sys
from pathlib import Path
from plumbline_conversion.classic import translate_classic
from plumbline_conversion.steps import lower, translate
onnx_path, record, out = map(Path, sys.argv[1:4])
translate(onnx_path, record, out / "ours", form="normalised")
translate_classic(onnx_path, record, out / "classic", form="normalised", python=Path(sys.argv[4]))
for name in ("ours", "classic"):
    lower(out / name, out / f"{name}.tflite")
"""


@pytest.fixture(scope="module")
def onnx_tf() -> Path:
    """The Python of the classic translator's environment."""
    return environment("onnx_tf")


@pytest.fixture(scope="module")
def old_runtime() -> Path:
    """The Python of an environment with tflite-runtime 2.14."""
    return environment("tflite_runtime")


@pytest.mark.parametrize("net", ["shipped", "hrnet_w32"])
def test_both_translators_find_the_same_keypoints(net: str, onnx_tf: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx_path = write_shipped(path) if net == "shipped" else write_untrained(net, 256, 192, path)
    check_onnx(onnx_path, tmp_path / "record.json")
    record = load_record(tmp_path / "record.json")
    command = [sys.executable, "-c", LOWER, str(onnx_path), str(tmp_path / "record.json"), str(tmp_path), str(onnx_tf)]
    subprocess.run(command, check=True)
    tensors = tensors_of(record, 4)
    ours, classic = (heatmaps_of(tmp_path / f"{name}.tflite", tensors) for name in ("ours", "classic"))
    assert np.abs(ours - classic).max() <= 1e-3 * np.ptp(classic)
    distance, compared = farthest(classic, ours, record)
    assert compared >= 34
    assert distance < 0.05
    graphs = {name: TFLiteModel(tmp_path / f"{name}.tflite").graph_facts() for name in ("ours", "classic")}
    assert (graphs["ours"].transposes, graphs["ours"].partitions) == (0, 1)
    assert graphs["classic"].transposes > 20  # or the comparison would be of ours with itself


def test_names_with_dots_and_of_data_parallel_nets(onnx_tf: Path, tmp_path: Path) -> None:
    names = [weight.name for weight in onnx.load(save_mini_hrnet(tmp_path / "model.onnx")).graph.initializer]
    assert all(name.startswith("module.layer.") for name in names)
    write_pictures(tmp_path / "images", 60)
    source = ImageSource(tmp_path / "images")
    plan = Plan(
        onnx_path=tmp_path / "model.onnx",
        out_dir=tmp_path / "out",
        version="0.1.0",
        calibration=source,
        golden=source,
        precisions=("fp32", "int8"),
        form="uint8",
        translator="onnx-tf",
        onnx_tf_python=onnx_tf,
    )
    fp32, int8 = convert(plan, print)
    assert fp32.manifest.metrics.parity[-1].keypoint_max_px < 0.05
    assert int8.manifest.metrics.parity[-1].keypoints_compared > 150
    assert {draft.manifest.input.dtype for draft in (fp32, int8)} == {"uint8"}
    assert fp32.profile.operators["TRANSPOSE"] > 2


def test_an_environment_without_onnx_tf(old_runtime: Path, tmp_path: Path) -> None:
    from plumbline_conversion.classic import translate_classic

    onnx_path = save_mini_hrnet(tmp_path / "model.onnx")
    check_onnx(onnx_path, tmp_path / "record.json")
    arguments = (onnx_path, tmp_path / "record.json", tmp_path / "saved")
    with pytest.raises(ConversionFailed, match=r"onnx-tf gave up .*onnx"):
        translate_classic(*arguments, form="normalised", python=old_runtime)
    with pytest.raises(ConversionFailed, match="cannot be run"):
        translate_classic(*arguments, form="normalised", python=tmp_path / "no-python")


def test_the_older_runtime_gives_the_same_numbers(old_runtime: Path, tmp_path: Path) -> None:
    save_mini_hrnet(tmp_path / "model.onnx")
    write_pictures(tmp_path / "images", 60)
    source = ImageSource(tmp_path / "images")
    plan = Plan(
        onnx_path=tmp_path / "model.onnx",
        out_dir=tmp_path / "out",
        version="0.1.0",
        calibration=source,
        golden=source,
        other_runtime=old_runtime,
    )
    drafts = {draft.manifest.precision: draft for draft in convert(plan, print)}
    crops = load_crops(tmp_path / "out" / ".steps" / "held_out.npz").crops_rgb_NHW3[:4]
    for precision in PRECISIONS:
        newer, older = drafts[precision].manifest.metrics.runtimes
        assert (newer.runtime.split()[0], newer.loads, newer.xnnpack_partitions) == ("ai-edge-litert", True, 1)
        assert (older.runtime, older.loads) == ("tflite-runtime 2.14.0", True)
        _same_numbers(drafts[precision].bundle_dir, precision, crops, old_runtime)
    # Its XNNPACK takes no int8 unless it is built to: the manifest must not promise otherwise.
    assert drafts["int8"].manifest.metrics.runtimes[1].xnnpack_partitions == 0
    assert drafts["fp32"].manifest.metrics.runtimes[1].xnnpack_partitions == 1


def _same_numbers(bundle: Path, precision: Precision, crops: object, old_runtime: Path) -> None:
    from plumbline_contract.manifest import parse_manifest

    manifest = parse_manifest((bundle / "manifest.json").read_bytes())
    tensors_NHW3 = to_tensor(np.asarray(crops), manifest.input)
    probed = check_runtime(old_runtime, bundle / "model.tflite", tensors_NHW3[:, None])
    assert probed.outputs is not None
    here = heatmaps_of(bundle / "model.tflite", tensors_NHW3)
    there = np.moveaxis(probed.outputs[:, 0], -1, 1).astype(np.float32)
    if (quantisation := manifest.output.quantisation) is not None:
        there = (there - quantisation.zero_point) * quantisation.scale
    # int8 and dynamic kernels of other releases round in other places; one step of the output is allowed for int8.
    step = quantisation.scale if quantisation is not None else 0.0
    tolerance = {"fp32": 1e-5, "fp16": 1e-4, "dynamic": 0.05, "int8": 2.01 * step}[precision]
    assert np.abs(here - there).max() <= tolerance


def test_a_runtime_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match="cannot be run"):
        check_runtime(tmp_path / "python", tmp_path / "model.tflite")


def test_a_file_that_the_older_runtime_refuses(old_runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"no model")
    assert not check_runtime(old_runtime, tmp_path / "model.tflite").check.loads
