"""The judge as ONNX, with proof that it computes the same, and the windows that conversion needs.

Axes: N windows, W frames, C channels, L logits.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from pydantic import ValidationError

from plumbline_contract.form import CHANNELS, WINDOW_FRAMES
from plumbline_contract.manifest import (
    ONNX_METADATA_KEY,
    Dataset,
    FormMetrics,
    FormParity,
    FormRecord,
    FormScore,
    Lineage,
)
from plumbline_training.checkpoint import save_atomically, write_atomically
from plumbline_training.errors import InvalidCheckpoint, ParityLost
from plumbline_training.export import traced
from plumbline_training.form.evaluate import answer
from plumbline_training.form.net import FormNet, as_input
from plumbline_training.form.train import load_form

NAME: Final = "form-judge"
MAX_PROBABILITY_DIFFERENCE: Final = 1e-3

Logits = npt.NDArray[np.float32]


def export_form(checkpoint: Path, out: Path, windows_NWC: npt.NDArray[np.float32]) -> FormRecord:
    """Write OUT (an .onnx file), and the windows beside it as .npz for conversion to calibrate and prove by.

    Raises InvalidCheckpoint, or ParityLost when ONNX differs from torch on the windows; then nothing is written.
    """
    net, state = load_form(checkpoint)
    model = trace(net)
    parity = FormParity.measured("torch", "onnx", "fp32", answer(net, windows_NWC), run_onnx(model, windows_NWC))
    if parity.probability_max_abs > MAX_PROBABILITY_DIFFERENCE:
        raise ParityLost(
            f"ONNX differs from torch by {parity.probability_max_abs:.2e} on probabilities (limit"
            f" {MAX_PROBABILITY_DIFFERENCE:g}); nothing was written"
        )
    record = _record(checkpoint, state, parity)
    model.metadata_props.add(key=ONNX_METADATA_KEY, value=record.model_dump_json())
    out.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, windows=windows_NWC)
    write_atomically(buffer.getvalue(), out.with_suffix(".npz"))
    write_atomically(model.SerializeToString(), out)
    return record


def _record(checkpoint: Path, state: dict[str, Any], parity: FormParity) -> FormRecord:
    try:
        return FormRecord(
            name=NAME,
            thresholds=tuple(state["thresholds"]),
            lineage=Lineage(
                git_commit=state["git_commit"],
                recipe="form",
                datasets=tuple(Dataset.model_validate(each) for each in state["datasets"]),
                checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
                created_at=datetime.now(timezone.utc),
                tools=state["tools"],
            ),
            metrics=FormMetrics(
                parity=(parity,), scores=tuple(FormScore.model_validate(each) for each in state.get("scores", ()))
            ),
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise InvalidCheckpoint(f"{str(checkpoint)!r} does not say what it was trained on; train it again") from error


def trace(net: FormNet) -> onnx.ModelProto:
    """The net as an ONNX graph: input `windows` (1, C, W, 1), output `logits` (1, L, 1, 1)."""
    return traced(net, torch.zeros(1, CHANNELS, WINDOW_FRAMES, 1), "windows", "logits")


def run_onnx(model: onnx.ModelProto, windows_NWC: npt.NDArray[np.float32]) -> Logits:
    """Logits (N, L) by onnxruntime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = as_input(torch.from_numpy(windows_NWC)).numpy()
    return np.concatenate([session.run(None, {"windows": each[None]})[0].reshape(1, -1) for each in inputs])


def export_half_form(checkpoint: Path, out: Path, scores: Sequence[dict[str, Any]] = ()) -> None:
    """Write the weights as float16: what is kept under version control."""
    net, state = load_form(checkpoint)
    weights = {key: value.half() if value.is_floating_point() else value for key, value in net.state_dict().items()}
    save_atomically({**state, "net": weights, "scores": list(scores) or state.get("scores", [])}, out)
