"""The step that finds the range of every activation on the calibration crops, in three ways.

`minmax` covers all that was seen; `percentile` leaves out the outermost values; `mse` is the range whose 256 steps
reproduce what was seen with the least squared error. Axes: T activations, S sampled values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.litert import open_interpreter
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.plan import InputForm, RangeMethod
from plumbline_conversion.specs import float_input
from plumbline_conversion.tflite_file import activations, names, read_model, with_all_outputs

SAMPLES: Final = 50_000
"""Values of an activation that are kept over all crops; the ends come from all values."""
PERCENTILE: Final = 99.99
LEVELS: Final = 255
SHRINKING: Final = np.linspace(1.0, 0.3, 29)
"""Shares of the full range that `mse` tries."""

Values = npt.NDArray[np.float32]
Ranges = npt.NDArray[np.float64]


def write_ranges(base_path: Path, record_path: Path, crops_path: Path, ranges_path: Path, *, form: InputForm) -> None:
    """Step: write the ranges (T, 2) of every method, and the activations' names, as .npz."""
    content = base_path.read_bytes()
    tensors = to_tensor(load_crops(crops_path).crops_rgb_NHW3, float_input(load_record(record_path), form))
    ends_T2, samples = _observe(content, tensors)
    model = read_model(content)
    found = {
        "minmax": ends_T2,
        "percentile": np.array([_percentile(*pair) for pair in zip(ends_T2, samples, strict=True)]),
        "mse": np.array([_least_squares(*pair) for pair in zip(ends_T2, samples, strict=True)]),
    }
    if form == "uint8":
        for ranges_T2 in found.values():
            ranges_T2[0] = (0.0, 1.0)  # the input: a byte is v / 255, whatever the crops hold
    arrays: dict[str, Any] = {"names": np.array(names(model, activations(model))), **found}
    np.savez(ranges_path, **arrays)


def least_squares_ranges(content: bytes, tensors_NHWC: Values) -> Ranges:
    """The ranges (T, 2) of the method `mse`, from inputs in the float file's own numbers."""
    ends_T2, samples = _observe(content, tensors_NHWC)
    return np.array([_least_squares(*pair) for pair in zip(ends_T2, samples, strict=True)])


def _observe(content: bytes, tensors_NHW3: Values) -> tuple[Ranges, list[Values]]:
    """Ends (T, 2) of all values and a sample of them for each activation, the input first."""
    interpreter = open_interpreter(with_all_outputs(content), threads=2)
    source = interpreter.get_input_details()[0]["index"]
    views = [interpreter.tensor(item["index"]) for item in interpreter.get_output_details()]
    share = max(1, SAMPLES // len(tensors_NHW3))
    ends_T2 = np.tile(np.array([np.inf, -np.inf]), (len(views) + 1, 1))
    samples: list[list[Values]] = [[] for _ in ends_T2]
    for tensor_HW3 in tqdm(tensors_NHW3, desc="calibration", unit="crop", leave=False, disable=None):
        interpreter.set_tensor(source, tensor_HW3[None])
        interpreter.invoke()
        for index in range(len(ends_T2)):
            ends_2, sample_S = _summary(views[index - 1]() if index else tensor_HW3, share)
            ends_T2[index] = min(ends_T2[index, 0], ends_2[0]), max(ends_T2[index, 1], ends_2[1])
            samples[index].append(sample_S)
    return ends_T2, [np.concatenate(parts) for parts in samples]


def _summary(values: Values, share: int) -> tuple[tuple[float, float], Values]:
    """Ends and a sample of values that the runtime owns: no view of them may be left when it runs again."""
    # A step that is no multiple of the channels, so that all of them are seen.
    sample_S = values.reshape(-1)[:: max(1, values.size // share) | 1].copy()
    return (float(values.min()), float(values.max())), sample_S


def _percentile(ends_2: Ranges, sample_S: Values) -> tuple[float, float]:
    low, high = np.percentile(sample_S, [100 - PERCENTILE, PERCENTILE])
    return max(float(low), float(ends_2[0])), min(float(high), float(ends_2[1]))


def _least_squares(ends_2: Ranges, sample_S: Values) -> tuple[float, float]:
    errors = [_squared_error(ends_2 * share, sample_S) for share in SHRINKING]
    low, high = ends_2 * SHRINKING[int(np.argmin(errors))]
    return float(low), float(high)


def _squared_error(ends_2: Ranges, sample_S: Values) -> float:
    low, high = min(float(ends_2[0]), 0.0), max(float(ends_2[1]), 0.0)
    step = max((high - low) / LEVELS, 1e-12)
    rebuilt_S = np.clip(np.rint(sample_S / step) * step, low, high)
    return float(np.square(rebuilt_S - sample_S, dtype=np.float64).mean())


def load_ranges(path: Path, method: RangeMethod) -> Ranges:
    """The ranges (T, 2) of one method."""
    with np.load(path) as arrays:
        ranges_T2: Ranges = arrays[method]
    return ranges_T2
