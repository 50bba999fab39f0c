"""A small judge of form through the conversion: bundles that agree with it, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from plumbline_contract.form import ANSWER, CHANNELS, FAULT_NAMES, LOGITS, WINDOW_FRAMES
from plumbline_contract.manifest import (
    ONNX_METADATA_KEY,
    FormManifest,
    FormMetrics,
    FormRecord,
    parse_form_manifest,
    parse_manifest,
)
from plumbline_conversion import cli_form
from plumbline_conversion.errors import GoldenMismatch, InvalidRecord, OutputExists, ParityLost, UnreadableModel
from plumbline_conversion.form import (
    LIMITS,
    Logits,
    check_form,
    convert_form,
    measured_parity,
    read_form_record,
    require_parity,
    run_onnx,
    run_tflite,
)
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import load_onnx
from plumbline_conversion.seal import seal

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = parse_form_manifest((MODELS / "form-judge" / "manifest.json").read_text(encoding="utf-8"))
WIDTH = 12


def write_judge(folder: Path) -> Path:
    """A convolution with a stride and one that is dilated, one frame cut out beside the mean, a linear layer."""
    rng = np.random.default_rng(0)
    weights = {
        "stem": rng.normal(0, 0.1, (WIDTH, CHANNELS, 5, 1)),
        "wide": rng.normal(0, 0.2, (WIDTH, WIDTH, 3, 1)),
        "answer": rng.normal(0, 0.4, (LOGITS, 2 * WIDTH, 1, 1)),
        "at": np.array([17]),
        "to": np.array([18]),
        "axis": np.array([2]),
    }
    nodes = [
        helper.make_node("Conv", ["windows", "stem"], ["a"], strides=[2, 1], pads=[2, 0, 2, 0]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "wide"], ["c"], dilations=[4, 1], pads=[4, 0, 4, 0]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Slice", ["d", "at", "to", "axis"], ["now"]),
        helper.make_node("ReduceMean", ["d"], ["mean"], axes=[2], keepdims=1),
        helper.make_node("Concat", ["now", "mean"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "answer"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "judge",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, [1, CHANNELS, WINDOW_FRAMES, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, LOGITS, 1, 1])],
        [
            numpy_helper.from_array(value.astype(np.int64 if value.ndim == 1 else np.float32), name)
            for name, value in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    record = FormRecord(
        name="form-judge",
        thresholds=(0.5,) * len(FAULT_NAMES),
        lineage=SHIPPED.lineage,
        metrics=FormMetrics(parity=SHIPPED.metrics.parity[:1]),
    )
    model.metadata_props.add(key=ONNX_METADATA_KEY, value=record.model_dump_json())
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "form.onnx")
    np.savez(folder / "form.npz", windows=rng.normal(0, 1, (60, WINDOW_FRAMES, CHANNELS)).astype(np.float32))
    return folder / "form.onnx"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one conversion to every precision."""
    folder = tmp_path_factory.mktemp("judge")
    convert_form(write_judge(folder), folder / "bundles", "1.2.3", ("fp32", "fp16", "dynamic", "int8"))
    return folder


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic", "int8"])
def test_a_bundle_answers_as_the_onnx_file_does(converted: Path, precision: str) -> None:
    folder = converted / "bundles" / precision
    windows_NWC = np.load(converted / "form.npz")["windows"][::7]
    manifest = parse_form_manifest((folder / "manifest.json").read_bytes())
    found = run_tflite(TFLiteModel(folder / "model.tflite"), windows_NWC)
    parity = measured_parity(run_onnx(load_onnx(converted / "form.onnx"), windows_NWC), found, manifest.precision)
    assert parity.probability_p99 <= LIMITS[manifest.precision]
    assert manifest.input.dtype == ("int8" if precision == "int8" else "float32")
    assert {item.candidate for item in manifest.metrics.parity} == {"onnx", "tflite"}
    assert TFLiteModel(folder / "model.tflite").graph_facts().transposes == 0


def test_sealing_fixes_digests_and_changes_nothing_twice(converted: Path) -> None:
    folder = converted / "bundles" / "fp32"
    sealed = seal(folder)
    assert isinstance(sealed, FormManifest)
    text = (folder / "manifest.json").read_bytes()
    assert set(sealed.files) == {"model.tflite", "golden.npz", "model-card.md"}
    seal(folder)
    assert (folder / "manifest.json").read_bytes() == text


def test_golden_samples_of_another_judge_are_refused(converted: Path) -> None:
    folder = converted / "bundles" / "fp16"
    with np.load(folder / "golden.npz") as archive:
        windows, logits = archive["windows"], archive["logits"]
    np.savez(folder / "golden.npz", windows=windows, logits=logits + 1)
    with pytest.raises(GoldenMismatch, match="probabilities differ"):
        seal(folder)


def test_a_bundle_is_not_replaced(converted: Path) -> None:
    with pytest.raises(OutputExists):
        convert_form(converted / "form.onnx", converted / "bundles", "1.2.4", ("fp32",))


def test_what_is_no_judge_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_judge(tmp_path)
    (tmp_path / "form.npz").unlink()
    with pytest.raises(UnreadableModel, match="no windows"):
        convert_form(path, tmp_path / "out", "1.0.0", ("fp32",))
    bare = load_onnx(path)
    del bare.metadata_props[:]
    with pytest.raises(InvalidRecord, match="plumbline-export-form"):
        read_form_record(bare)
    assert cli_form.main([str(tmp_path / "none.onnx"), "--version", "1.0.0", "--out", str(tmp_path / "out")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_archives_that_end_early_are_refused(converted: Path, tmp_path: Path) -> None:
    path, bundle = write_judge(tmp_path), tmp_path / "fp32"
    shutil.copytree(converted / "bundles" / "fp32", bundle)
    for archive in (tmp_path / "form.npz", bundle / "golden.npz"):
        archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(UnreadableModel, match="no windows"):
        convert_form(path, tmp_path / "out", "1.0.0", ("fp32",))
    with pytest.raises(GoldenMismatch, match=r"no valid golden\.npz"):
        seal(bundle)


def test_answers_that_moved_stop_the_conversion() -> None:
    logits = np.zeros((20, LOGITS), np.float32)
    with pytest.raises(ParityLost, match="99th percentile"):
        require_parity(measured_parity(logits, logits + 2, "int8"))
    with pytest.raises(ParityLost, match="not finite"):
        measured_parity(logits, logits * np.nan, "int8")


def shifted(part: str, count: int, by: float = 3.0) -> Logits:
    """What the judge said of 20 windows, with the first answer of a part moved in so many."""
    logits = np.zeros((20, LOGITS), np.float32)
    logits[:count, ANSWER[part].start] += by
    return logits


@pytest.mark.parametrize(
    ("part", "says"), [("exercise", "probabilities"), ("phase", "probabilities"), ("offsets", "offsets")]
)
def test_every_part_of_an_answer_is_held_to_parity(part: str, says: str) -> None:
    require_parity(measured_parity(shifted(part, 0), shifted(part, 0), "int8"))
    with pytest.raises(ParityLost, match=f"{says} move"):
        require_parity(measured_parity(shifted(part, 0), shifted(part, 4 if part != "offsets" else 20), "int8"))


@pytest.mark.parametrize(
    ("part", "says"), [("exercise", "probabilities"), ("phase", "probabilities"), ("offsets", "offsets")]
)
def test_golden_samples_hold_every_part_of_an_answer(converted: Path, tmp_path: Path, part: str, says: str) -> None:
    bundle = tmp_path / "fp32"
    shutil.copytree(converted / "bundles" / "fp32", bundle)
    seal(bundle)
    with np.load(bundle / "golden.npz") as archive:
        windows, logits = archive["windows"], archive["logits"]
    logits[0, ANSWER[part].start] += 3
    np.savez(bundle / "golden.npz", windows=windows, logits=logits)
    with pytest.raises(GoldenMismatch, match=f"{says} differ"):
        seal(bundle)


def test_the_shipped_judge_is_within_the_limits() -> None:
    check_form(MODELS / "form-judge", SHIPPED)
    require_parity(SHIPPED.metrics.parity[-1])


def test_a_judge_is_no_pose_model(converted: Path) -> None:
    from plumbline_contract.errors import InvalidManifest

    with pytest.raises(InvalidManifest, match="kind"):
        parse_manifest((converted / "bundles" / "int8" / "manifest.json").read_bytes())
