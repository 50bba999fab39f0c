"""`make bench`: what a frame costs on this machine, stage by stage, as medians and as ratios to a plain baseline.

Figures of one run are comparable with each other, not with another machine's.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box
from plumbline_contract.decode import decode_argmax, decode_dark, decode_smoothed
from plumbline_contract.errors import PlumblineError
from plumbline_contract.manifest import InputSpec
from plumbline_contract.preprocess import Image, extract_crop, to_tensor
from plumbline_edge.bundle import open_bundle

ROOT = Path(__file__).parent.parent


def median_milliseconds(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call, after one that is not counted."""
    call()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times) < 5:
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def plain_tensor(crop_HW3: Image, spec: InputSpec) -> npt.NDArray[Any]:
    """The baseline of `to_tensor`: the same arithmetic a pixel instead of a byte value."""
    normalised = (crop_HW3.astype(np.float32) / 255 - np.array(spec.mean)) / np.array(spec.std)
    if spec.quantisation is None:
        return np.asarray(normalised, dtype=np.float32)[None]
    steps = np.rint(normalised / spec.quantisation.scale) + spec.quantisation.zero_point
    return np.asarray(np.clip(steps, -128, 127), dtype=np.int8)[None]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "hrnet-edge-s")
    parser.add_argument("--clip", type=Path, default=ROOT / "samples" / "squats.mp4")
    parser.add_argument("--seconds", type=float, default=2.0, help="a measurement (default 2)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    try:
        bundle = open_bundle(arguments.bundle)
    except PlumblineError as error:
        sys.exit(f"error: {error}")
    spec = bundle.manifest.input
    readable, frame = cv2.VideoCapture(str(arguments.clip)).read()
    if not readable:
        sys.exit(f"error: {str(arguments.clip)!r} is no video; name one with --clip")
    picture = np.asarray(frame, dtype=np.uint8)
    box = Box.whole_image(*picture.shape[:2])
    crop_HW3, _ = extract_crop(picture, box, spec.height, spec.width)
    models = {threads: bundle.load_model(threads) for threads in (1, 2)}
    tensor_NHWC = to_tensor(crop_HW3[None], spec)
    heatmaps_KHW = models[1].infer(tensor_NHWC)
    calls: dict[str, Callable[[], object]] = {
        "crop": lambda: extract_crop(picture, box, spec.height, spec.width),
        "to_tensor": lambda: to_tensor(crop_HW3[None], spec),
        "to_tensor, plain": lambda: plain_tensor(crop_HW3, spec),
        "inference, 1 thread": lambda: models[1].infer(tensor_NHWC),
        "inference, 2 threads": lambda: models[2].infer(tensor_NHWC),
        "decode, DARK": lambda: decode_dark(heatmaps_KHW),
        "decode, smoothed": lambda: decode_smoothed(heatmaps_KHW),
        "decode, argmax": lambda: decode_argmax(heatmaps_KHW),
    }
    medians = {name: median_milliseconds(call, arguments.seconds) for name, call in calls.items()}
    print(f"{platform.machine()}, {bundle.manifest.name} {bundle.manifest.version} {bundle.manifest.precision}")
    for name, milliseconds in medians.items():
        print(f"{milliseconds:9.3f} ms  {name}")
    for name, baseline in (("to_tensor", "to_tensor, plain"), ("inference, 2 threads", "inference, 1 thread")):
        print(f"{medians[name] / medians[baseline]:9.2f}     {name} / {baseline}")
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
