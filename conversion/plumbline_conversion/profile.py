"""What one TFLite file is and costs on this machine: operators, XNNPACK partitions, latency, cost of each operator."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from plumbline_contract.manifest import Latency, RuntimeCheck
from plumbline_contract.preprocess import to_tensor
from plumbline_conversion.crops import load_crops
from plumbline_conversion.errors import ConversionFailed
from plumbline_conversion.litert import RUNTIME, TFLiteModel
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.op_profile import LayerCost, operator_costs
from plumbline_conversion.plan import Translator
from plumbline_conversion.runtimes import check_runtime
from plumbline_conversion.specs import bundle_specs
from plumbline_conversion.tflite_file import live_bytes

WARM_UP_RUNS: Final = 3
MAX_RUNS: Final = 50
MAX_SECONDS: Final = 1.0
THREADS: Final = (1, 2, 4)


class Profile(BaseModel):
    """Facts of one TFLite file."""

    operators: dict[str, int]
    partitions: int
    macs: int
    live_bytes: int
    """Most bytes of activations needed at once: a lower bound of the runtime's arena."""
    latencies: tuple[Latency, ...]
    """At 1, 2 and 4 threads."""
    runtimes: tuple[RuntimeCheck, ...]
    costs: tuple[LayerCost, ...]

    @property
    def latency(self) -> Latency:
        """On one thread."""
        return self.latencies[0]


def machine_description() -> str:
    """Architecture and CPU model, such as 'x86_64, Intel(R) Xeon(R) ...'."""
    model = platform.processor() or "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        fields = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
        models = {key.strip(): value.strip() for key, _, value in fields}
        model = models.get("model name") or models.get("Model") or model
    return f"{platform.machine()}, {model}"


def write_profile(
    tflite_path: Path,
    record_path: Path,
    crops_path: Path,
    profile_path: Path,
    *,
    translator: Translator,
    other_runtime: Path | None,
) -> None:
    """Step: count, time and try the file, and write a Profile as JSON. Raises ConversionFailed.

    A TRANSPOSE in a graph of our translator is an error of it: it costs time at every frame.
    """
    model = TFLiteModel(tflite_path, threads=1)
    facts = model.graph_facts()
    if facts.transposes and translator == "nhwc":
        raise ConversionFailed(f"{tflite_path.name}: {facts.transposes} TRANSPOSE operators; report this graph")
    spec, _ = bundle_specs(load_record(record_path), model)
    tensor_1HW3 = to_tensor(load_crops(crops_path).crops_rgb_NHW3[:1], spec)
    checks = [RuntimeCheck(runtime=RUNTIME, loads=True, xnnpack_partitions=facts.partitions)]
    if other_runtime is not None:
        checks.append(check_runtime(other_runtime, tflite_path).check)
    costs = operator_costs(tflite_path)
    profile = Profile(
        operators=facts.operators,
        partitions=facts.partitions,
        macs=sum(cost.macs for cost in costs),
        live_bytes=live_bytes(tflite_path),
        latencies=tuple(latency(tflite_path, tensor_1HW3, threads) for threads in THREADS),
        runtimes=tuple(checks),
        costs=tuple(costs),
    )
    profile_path.write_text(profile.model_dump_json(indent=2), encoding="utf-8")


def latency(tflite_path: Path, tensor_1HW3: npt.NDArray[np.generic], threads: int) -> Latency:
    """What one inference of this input takes here."""
    model = TFLiteModel(tflite_path, threads)
    for _ in range(WARM_UP_RUNS):
        model.run(tensor_1HW3)
    seconds: list[float] = []
    while len(seconds) < MAX_RUNS and sum(seconds) < MAX_SECONDS:
        started = time.perf_counter()
        model.run(tensor_1HW3)
        seconds.append(time.perf_counter() - started)
    p50, p95 = np.percentile(seconds, [50, 95])
    return Latency(p50_seconds=float(p50), p95_seconds=float(p95), threads=threads, machine=machine_description())


def load_profile(path: Path) -> Profile:
    """The profile that `write_profile` wrote."""
    return Profile.model_validate_json(path.read_text(encoding="utf-8"))
