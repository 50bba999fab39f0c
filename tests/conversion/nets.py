"""ONNX files of training's nets, as its export writes them: the shipped one, and all architectures untrained."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from tests.conversion.graphs import export_record
from torch import nn

from plumbline_contract.manifest import ONNX_METADATA_KEY, ExportRecord, InputSpec, OutputSpec, parse_manifest
from plumbline_training.architectures import ARCHITECTURES, ModelConfig, build
from plumbline_training.export import load_model, trace

MODELS = Path(__file__).parents[2] / "models"


def write_shipped(path: Path) -> Path:
    """The shipped net, with the record that its bundle came from."""
    manifest = parse_manifest((MODELS / "hrnet-edge-s" / "manifest.json").read_bytes())
    net, config, _ = load_model(MODELS / "hrnet-edge-s.pt")
    height, width = config.final_stage.height, config.final_stage.width
    source = InputSpec(height=height, width=width, layout="NCHW", box_padding=config.box_padding)
    target = manifest.output.model_copy(update={"layout": "NCHW", "dtype": "float32", "quantisation": None})
    record = export_record(name=manifest.name, input=source, output=target, lineage=manifest.lineage)
    return _write(net, source, path, record)


def write_untrained(name: str, height: int, width: int, path: Path, config: ModelConfig | None = None) -> Path:
    """A net of random weights whose batch norms have seen two batches of noise, so that its numbers stay moderate."""
    torch.manual_seed(0)
    net = build(config or ARCHITECTURES[name]).train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.randn(2, 3, height, width))
    source = InputSpec(height=height, width=width, layout="NCHW")
    target = OutputSpec(height=height // 4, width=width // 4, layout="NCHW", decode="argmax")
    record = export_record(name=name.replace("_", "-"), input=source, output=target)
    return _write(net.eval(), source, path, record)


def _write(net: nn.Module, spec: InputSpec, path: Path, record: ExportRecord) -> Path:
    model = trace(net, spec)
    model.metadata_props.add(key=ONNX_METADATA_KEY, value=record.model_dump_json())
    onnx.save(model, path)
    return path
