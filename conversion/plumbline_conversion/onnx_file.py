"""Reads the ONNX file that training exported and checks that it is what its export record says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pydantic import ValidationError

from plumbline_contract.manifest import ONNX_METADATA_KEY, ExportRecord
from plumbline_conversion.errors import InvalidRecord, UnreadableModel

SUPPORTED_OPSETS: Final = range(13, 21)


def load_onnx(path: Path) -> onnx.ModelProto:
    """The model with its weights. Raises UnreadableModel for a file that is missing, damaged or of another opset."""
    if not path.is_file():
        raise UnreadableModel(f"{path}: no such file; export a model with plumbline-train first")
    try:
        model = onnx.load(path)
        _check_opset(path, model)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UnreadableModel(f"{path}: no valid ONNX model ({reason}); export it again") from error
    return model


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    if not model.graph.node:
        raise UnreadableModel(f"{path}: no valid ONNX model (it has no nodes); export it again")
    versions = {opset.domain: opset.version for opset in model.opset_import}
    if versions.get("") not in SUPPORTED_OPSETS:
        raise UnreadableModel(
            f"{path}: opset {versions.get('')!r} is not supported; export with opset 17 "
            f"({SUPPORTED_OPSETS.start} to {SUPPORTED_OPSETS.stop - 1} work)"
        )


def read_record(model: onnx.ModelProto) -> ExportRecord:
    """The export record in the model's metadata, checked against the graph. Raises InvalidRecord."""
    texts = [entry.value for entry in model.metadata_props if entry.key == ONNX_METADATA_KEY]
    if not texts:
        raise InvalidRecord(
            f"the ONNX file has no metadata property {ONNX_METADATA_KEY!r}: its lineage is unknown; "
            "export it with plumbline-train"
        )
    try:
        record = ExportRecord.model_validate_json(texts[0])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise InvalidRecord(f"{ONNX_METADATA_KEY}: {where}: {first['msg']}; export the model again") from error
    _check_signature(model, record)
    return record


def input_values(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The graph's inputs that are not weights."""
    weights = {initializer.name for initializer in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _check_signature(model: onnx.ModelProto, record: ExportRecord) -> None:
    """Raise InvalidRecord unless the graph takes and gives one tensor each, of the record's shapes."""
    if record.input.layout != "NCHW" or record.output.layout != "NCHW" or record.input.dtype != "float32":
        raise InvalidRecord("the export record must describe float32 NCHW tensors, as PyTorch exports them")
    expected = {
        "input": (3, record.input.height, record.input.width),
        "output": (len(record.output.keypoints), record.output.height, record.output.width),
    }
    for what, values in {"input": input_values(model.graph), "output": list(model.graph.output)}.items():
        if len(values) != 1:
            raise InvalidRecord(f"the graph has {len(values)} {what}s, not one; export image -> heatmaps only")
        shape = tuple(dim.dim_value for dim in values[0].type.tensor_type.shape.dim)
        if shape[1:] != expected[what]:
            raise InvalidRecord(
                f"{what} {values[0].name!r} has shape {shape} (0: unknown) but the export record says "
                f"{('N', *expected[what])}; export again with a fixed height and width"
            )


def check_onnx(onnx_path: Path, record_path: Path) -> None:
    """Step: check the ONNX file and write its export record as JSON."""
    record = read_record(load_onnx(onnx_path))
    record_path.write_text(record.model_dump_json(indent=2), encoding="utf-8")


def load_record(record_path: Path) -> ExportRecord:
    """The record that `check_onnx` wrote."""
    return ExportRecord.model_validate_json(record_path.read_text(encoding="utf-8"))
