"""What one TFLite file costs on this machine: its operators, XNNPACK partitions and median latency."""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from plumbline_contract.manifest import Latency
from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.specs import bundle_specs

WARM_UP_RUNS: Final = 3
MAX_RUNS: Final = 50
MAX_SECONDS: Final = 2.0


class Profile(BaseModel):
    """Facts of one TFLite file."""

    operators: dict[str, int]
    partitions: int
    latency: Latency


def machine_description() -> str:
    """Architecture and CPU model, such as 'x86_64, Intel(R) Xeon(R) ...'."""
    model = platform.processor() or "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        fields = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
        models = {key.strip(): value.strip() for key, _, value in fields}
        model = models.get("model name") or models.get("Model") or model
    return f"{platform.machine()}, {model}"


def write_profile(tflite_path: Path, record_path: Path, crops_path: Path, profile_path: Path) -> None:
    """Step: time single inferences on one thread and write a Profile as JSON. Raises ConversionFailed.

    A TRANSPOSE in the graph is an error of the translator: it costs time at every frame.
    """
    model = TFLiteModel(tflite_path, threads=1)
    facts = model.graph_facts()
    if facts.transposes:
        raise ConversionFailed(f"{tflite_path.name}: {facts.transposes} TRANSPOSE operators; report this graph")
    spec, _ = bundle_specs(load_record(record_path), model)
    tensor_1HW3 = to_tensor(load_crops(crops_path).crops_rgb_NHW3[:1], spec)
    latency = Latency(p50_seconds=_median_seconds(model, tensor_1HW3), threads=1, machine=machine_description())
    profile = Profile(operators=facts.operators, partitions=facts.partitions, latency=latency)
    profile_path.write_text(profile.model_dump_json(indent=2), encoding="utf-8")


def _median_seconds(model: TFLiteModel, tensor_1HW3: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> float:
    for _ in range(WARM_UP_RUNS):
        model.run(tensor_1HW3)
    seconds: list[float] = []
    while len(seconds) < MAX_RUNS and sum(seconds) < MAX_SECONDS:
        started = time.perf_counter()
        model.run(tensor_1HW3)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def load_profile(path: Path) -> Profile:
    """The profile that `write_profile` wrote."""
    return Profile.model_validate_json(path.read_text(encoding="utf-8"))
