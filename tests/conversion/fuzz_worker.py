"""Converts ONNX files to float TFLite; a line a file: error FILE MESSAGE, correct FILE, or WRONG FILE and why."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.conversion.graphs import run_onnx_file

from plumbline_contract.errors import PlumblineError
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import check_onnx, load_record
from plumbline_conversion.specs import bundle_specs


def outcome(path: Path, folder: Path) -> str:
    """What became of the file; an error that is no PlumblineError is one of ours to mend."""
    from plumbline_conversion.steps import lower, translate

    record, saved, lite = folder / "record.json", folder / "saved", folder / "model.tflite"
    try:
        check_onnx(path, record)
        translate(path, record, saved, form="normalised")
        lower(saved, lite)
        model = TFLiteModel(lite)
        bundle_specs(load_record(record), model)
    except PlumblineError as error:
        message = str(error)
        return f"error {path.name} {message}" if message and "\n" not in message else f"WRONG {path.name} {message!r}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in where if "plumbline_conversion" in frame.filename][-1]
        return f"WRONG {path.name} {error!r} in {Path(ours.filename).name}:{ours.lineno}".replace("\n", " ")
    image = np.random.default_rng(0).normal(size=(1, 3, *model.input.shape[1:3])).astype(np.float32)
    actual_HWK = model.run(np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    return _compared(path, image, actual_HWK)


def _compared(path: Path, image: npt.NDArray[np.float32], actual_HWK: npt.NDArray[np.float32]) -> str:
    try:
        expected_HWK = run_onnx_file(path, image)[0].transpose(1, 2, 0)
    except Exception as error:
        # onnxruntime's errors have no common base.
        # The reference step refuses the file later on, so no bundle comes of it.
        return f"error {path.name} onnxruntime: {type(error).__name__}"
    same = np.allclose(
        actual_HWK, expected_HWK, rtol=1e-3, atol=1e-3 * max(1.0, float(np.ptp(expected_HWK))), equal_nan=True
    )
    return f"correct {path.name}" if same else f"WRONG {path.name} heatmaps differ"


def main() -> None:
    """All files named on the command line, in order."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            print(outcome(Path(name), Path(folder)), flush=True)


if __name__ == "__main__":
    main()
