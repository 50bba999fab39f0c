"""The classic translator, onnx-tf, in an environment of its own: old pins that cannot live beside ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from plumbline_contract.manifest import ExportRecord
from plumbline_conversion.errors import ConversionFailed, InvalidPlan
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.plan import InputForm

PROGRAM: Final = Path(__file__).parent.parent / "onnx_tf" / "translate.py"
TIMEOUT_SECONDS: Final = 1800


def translate_classic(
    onnx_path: Path, record_path: Path, saved_model_dir: Path, *, form: InputForm, python: Path
) -> None:
    """Step: the ONNX model as a SavedModel with our signature, by onnx-tf. Raises ConversionFailed or InvalidPlan."""
    if not PROGRAM.is_file():
        raise InvalidPlan(
            f"{PROGRAM}: no such file; onnx-tf is used from a checkout, with plumbline-conversion editable"
        )
    command = [str(python), str(PROGRAM), str(onnx_path), str(saved_model_dir)]
    command += _normalisation(load_record(record_path)) if form == "uint8" else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionFailed(
            f"{python}: onnx-tf cannot be run ({error}); see conversion/onnx_tf/README.md"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ConversionFailed(f"onnx-tf gave up ({reason}); use the translator nhwc")


def _normalisation(record: ExportRecord) -> list[str]:
    return ["--mean", *map(str, record.input.mean), "--std", *map(str, record.input.std)]
