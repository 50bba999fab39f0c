"""A file that is not what training exports is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from tests.conversion.graphs import GraphBuilder, export_record, mini_hrnet, save_mini_hrnet

from plumbline_contract.manifest import ONNX_METADATA_KEY, InputSpec, OutputSpec
from plumbline_conversion.errors import InvalidRecord, UnreadableModel
from plumbline_conversion.graph import read_graph
from plumbline_conversion.onnx_file import check_onnx, load_onnx, load_record, read_record


def test_record_survives_the_step(tmp_path: Path) -> None:
    check_onnx(save_mini_hrnet(tmp_path / "model.onnx"), tmp_path / "record.json")
    assert load_record(tmp_path / "record.json") == export_record()


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def of_opset(version: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        model.opset_import[0].version = version
        return bytes(model.SerializeToString())

    return change


def without_a_weight(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    del model.graph.initializer[0]
    return bytes(model.SerializeToString())


def of_external_data(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "elsewhere.bin")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].ClearField("raw_data")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (truncated, "no valid ONNX model"),
        (lambda content: b"", "no valid ONNX model"),
        (lambda content: b"no protobuf", "no valid ONNX model"),
        (without_a_weight, "no valid ONNX model"),
        (of_external_data, "no valid ONNX model"),
        (of_opset(9), "opset 9 is not supported"),
        (of_opset(21), "opset 21 is not supported"),
    ],
)
def test_unreadable_model(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(change(mini_hrnet(export_record()).SerializeToString()))
    with pytest.raises(UnreadableModel, match=message) as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModel, match="no such file"):
        load_onnx(tmp_path / "model.onnx")


def test_missing_record() -> None:
    with pytest.raises(InvalidRecord, match=ONNX_METADATA_KEY):
        read_record(mini_hrnet())


def test_broken_record_names_the_field() -> None:
    model = mini_hrnet(export_record())
    model.metadata_props[0].value = model.metadata_props[0].value.replace("mini-hrnet", "Mini HRNet")
    with pytest.raises(InvalidRecord, match="name"):
        read_record(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": InputSpec(height=96, width=96, layout="NCHW")}, "input 'image' has shape"),
        ({"output": OutputSpec(height=32, width=24, layout="NCHW")}, "output 'heatmaps' has shape"),
        ({"input": InputSpec(height=64, width=48)}, "NCHW"),
    ],
)
def test_record_that_contradicts_the_graph(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRecord, match=message):
        read_record(mini_hrnet(export_record(**changes)))


def test_dynamic_height_is_refused_and_a_dynamic_batch_is_not() -> None:
    for shape, refused in ((("N", 3, "H", 48), True), (("N", 3, 64, 48), False)):
        build = GraphBuilder(shape)
        model = build.model(
            build.node("Conv", "image", build.weight(17, 3, 4, 4), strides=[4, 4]), record=export_record()
        )
        if refused:
            with pytest.raises(InvalidRecord, match="0: unknown"):
                read_record(model)
        else:
            assert read_record(model) == export_record()
            assert read_graph(model).input_shape == (1, 3, 64, 48)


def test_wrong_keypoint_count_is_refused() -> None:
    build = GraphBuilder()
    model = build.model(build.node("Conv", "image", build.weight(14, 3, 4, 4), strides=[4, 4]), export_record())
    with pytest.raises(InvalidRecord, match=r"\(1, 14, 16, 12\)"):
        read_record(model)
