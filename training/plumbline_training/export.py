"""Checkpoint -> model.onnx, with proof that it computes the same and the record that conversion reads."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import warnings
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from pydantic import ValidationError
from torch import nn

from plumbline_contract.decode import DECODERS, DecodeMethod
from plumbline_contract.manifest import (
    ONNX_METADATA_KEY,
    AveragePrecision,
    ExportRecord,
    InputSpec,
    Lineage,
    Metrics,
    OutputSpec,
    Parity,
)
from plumbline_contract.manifest import Dataset as LineageDataset
from plumbline_contract.preprocess import Image, extract_crop, to_tensor
from plumbline_training.architectures import build
from plumbline_training.centre_net import CentreNetConfig
from plumbline_training.checkpoint import load_checkpoint, save_atomically, weights_of, write_atomically
from plumbline_training.config import RunConfig
from plumbline_training.crops import read_image
from plumbline_training.datasets import Dataset
from plumbline_training.errors import InvalidCheckpoint, ParityLost, UnsupportedModel
from plumbline_training.lineage import merged_datasets, origin
from plumbline_training.tasks import STRIDE

OPSET = 17
"""The newest that the classic onnx-tf translator is known to take."""
MAX_HEATMAP_DIFFERENCE = 1e-3
MAX_KEYPOINT_DIFFERENCE_PX = 0.5
PARITY_MIN_SCORE = 0.3
PARITY_CROPS = 32


def load_model(path: Path, decode: DecodeMethod | None = None) -> tuple[nn.Module, RunConfig, dict[str, Any]]:
    """The net in evaluation mode, its configuration and the checkpoint itself. Raises InvalidCheckpoint.

    With `decode` its heatmaps are decoded in that way, which training need not have known, instead of its own.
    """
    checkpoint = load_checkpoint(path)
    try:
        config = RunConfig.from_dict(checkpoint["config"])
        config = dataclasses.replace(config, decode=decode or config.decode)
        net = build(config.model)
        net.load_state_dict(weights_of(checkpoint))
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidCheckpoint(f"{str(path)!r} holds no exportable net ({reason}); name a run's best.pt") from error
    return net.eval(), config, checkpoint


def load_exportable(path: Path, decode: DecodeMethod | None = None) -> tuple[nn.Module, RunConfig, dict[str, Any]]:
    """As `load_model`. Raises UnsupportedModel for a bottom-up net, whose outputs no bundle describes."""
    net, config, state = load_model(path, decode)
    if isinstance(config.model, CentreNetConfig):
        raise UnsupportedModel(
            f"{str(path)!r} finds people in whole pictures, and a bundle holds a net that is shown one in a box; "
            "export the best.pt of such a run"
        )
    return net, config, state


def export(
    checkpoint: Path,
    out: Path,
    samples: Dataset,
    average_precision: Sequence[AveragePrecision] = (),
    decode: DecodeMethod | None = None,
) -> ExportRecord:
    """Write OUT (an .onnx file) and return its record.

    Parity is measured on crops of `samples`; beyond MAX_HEATMAP_DIFFERENCE or MAX_KEYPOINT_DIFFERENCE_PX it raises
    ParityLost and writes nothing.
    """
    net, config, state = load_exportable(checkpoint, decode)
    stage = config.final_stage
    input_spec = InputSpec(height=stage.height, width=stage.width, layout="NCHW", box_padding=config.box_padding)
    output_spec = OutputSpec(
        height=int(stage.height / STRIDE),
        width=int(stage.width / STRIDE),
        stride=STRIDE,
        layout="NCHW",
        decode=config.decode,
        alignment=config.alignment,
    )
    model = trace(net, input_spec)
    parity = measure_parity(net, model, sample_crops(samples, config), input_spec, output_spec)
    record = ExportRecord(
        name=config.bundle_name,
        input=input_spec,
        output=output_spec,
        lineage=_lineage(checkpoint, config, state),
        metrics=Metrics(parity=(parity,), average_precision=tuple(average_precision)),
    )
    model.metadata_props.add(key=ONNX_METADATA_KEY, value=record.model_dump_json())
    write_atomically(model.SerializeToString(), out)
    return record


def trace(net: nn.Module, spec: InputSpec) -> onnx.ModelProto:
    """The net as an ONNX graph: input `image` (1, 3, H, W), output `heatmaps` (1, K, h, w), constants folded."""
    return traced(net, torch.zeros(1, 3, spec.height, spec.width), "image", "heatmaps")


def traced(net: nn.Module, example: torch.Tensor, source: str, result: str) -> onnx.ModelProto:
    """The net as an ONNX graph of one input, of the example's shape, and one output, by these names."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter writes opset 18 and up, which the classic onnx-tf translator cannot read.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            (example,),
            buffer,  # type: ignore[arg-type]  # the stubs know only paths; the exporter takes files
            input_names=[source],
            output_names=[result],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model


def sample_crops(dataset: Dataset, config: RunConfig, count: int = PARITY_CROPS) -> Image:
    """RGB crops (N, H, W, 3) of up to `count` persons spread over the dataset."""
    chosen = dataset.persons[:: max(1, len(dataset.persons) // count)][:count]
    stage, crops = config.final_stage, []
    for person in chosen:
        image = read_image(person)
        if image is not None:
            crops.append(extract_crop(image, person.box.padded(config.box_padding), stage.height, stage.width)[0])
    return np.stack(crops)


def measure_parity(
    net: nn.Module, model: onnx.ModelProto, crops_NHW3: Image, input_spec: InputSpec, output_spec: OutputSpec
) -> Parity:
    """How far onnxruntime's heatmaps and keypoints are from torch's on the same crops. Raises ParityLost."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tensors_N3HW = to_tensor(crops_NHW3, input_spec)
    with torch.inference_mode():
        reference: npt.NDArray[np.float32] = net(torch.from_numpy(tensors_N3HW)).numpy()
    candidate = np.concatenate([session.run(None, {"image": tensor[None]})[0] for tensor in tensors_N3HW])
    difference = np.abs(reference - candidate)
    decode = DECODERS[output_spec.decode]
    expected_NK3, found_NK3 = decode(reference), decode(candidate)
    sure = expected_NK3[..., 2] >= PARITY_MIN_SCORE
    distances = np.linalg.norm(expected_NK3[..., :2] - found_NK3[..., :2], axis=-1)[sure]
    parity = Parity(
        reference="torch",
        candidate="onnx",
        precision="fp32",
        samples=len(crops_NHW3),
        heatmap_max_abs=float(difference.max()),
        heatmap_mean_abs=float(difference.mean()),
        keypoint_p99_px=float(np.percentile(distances, 99)) if distances.size else 0.0,
        keypoint_max_px=float(distances.max()) if distances.size else 0.0,
        keypoints_compared=int(distances.size),
        min_score=PARITY_MIN_SCORE,
    )
    if parity.heatmap_max_abs > MAX_HEATMAP_DIFFERENCE or parity.keypoint_max_px > MAX_KEYPOINT_DIFFERENCE_PX:
        raise ParityLost(
            f"ONNX differs from torch by {parity.heatmap_max_abs:.2e} on heatmaps and {parity.keypoint_max_px:.2f} px "
            f"on keypoints (limits {MAX_HEATMAP_DIFFERENCE:g} and {MAX_KEYPOINT_DIFFERENCE_PX:g}); nothing was written"
        )
    return parity


def _lineage(checkpoint: Path, config: RunConfig, state: dict[str, Any]) -> Lineage:
    commit, tools = origin(checkpoint, state)
    try:
        return Lineage(
            git_commit=commit,
            recipe=config.recipe,
            datasets=tuple(LineageDataset.model_validate(item) for item in merged_datasets(state)),
            checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            created_at=datetime.now(timezone.utc),
            tools=tools,
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise InvalidCheckpoint(f"{str(checkpoint)!r} does not say what it was trained on; train it again") from error


def export_half(checkpoint: Path, out: Path) -> None:
    """Write the weights of a checkpoint as float16, a quarter of its size: what is kept under version control."""
    _, _, state = load_model(checkpoint)
    weights = {key: value.half() if value.is_floating_point() else value for key, value in weights_of(state).items()}
    save_atomically({**state, "net": weights}, out)
