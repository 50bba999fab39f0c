"""How long one inference of a bundle takes on this device: the true figure behind every estimate."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from plumbline_contract.preprocess import to_tensor
from plumbline_edge.bundle import Bundle

THREADS: Final = (1, 2, 4)
WARM_UP_RUNS: Final = 3
SECONDS: Final = 3.0
"""Spent on each number of threads, at most."""
MAX_RUNS: Final = 200
CHOICE_SECONDS: Final = 0.5
"""Spent on each number of threads when one is to be chosen."""
NEAR_ENOUGH: Final = 1.1


@dataclass(frozen=True)
class Timing:
    """Inferences on so many threads."""

    threads: int
    runs: int
    p50_seconds: float
    p95_seconds: float

    def line(self) -> str:
        """One line of key=value pairs, as the other commands print."""
        p50_ms, p95_ms = 1000 * self.p50_seconds, 1000 * self.p95_seconds
        return f"bench threads={self.threads} runs={self.runs} p50_ms={p50_ms:.2f} p95_ms={p95_ms:.2f}"


def bench(bundle: Bundle, threads: int, seconds: float = SECONDS) -> Timing:
    """Time the model on a black crop. Raises BundleUnusable."""
    model, spec = bundle.load_model(threads), bundle.manifest.input
    tensor_NHWC = to_tensor(np.zeros((1, spec.height, spec.width, 3), np.uint8), spec)
    for _ in range(WARM_UP_RUNS):
        model.infer(tensor_NHWC)
    taken: list[float] = []
    while len(taken) < MAX_RUNS and sum(taken) < seconds:
        started_at = time.perf_counter()
        model.infer(tensor_NHWC)
        taken.append(time.perf_counter() - started_at)
    p50, p95 = np.percentile(taken, [50, 95])
    return Timing(threads, len(taken), float(p50), float(p95))


def quickest_threads(bundle: Bundle, most: int) -> int:
    """The fewest threads, up to `most`, whose inference takes at most a tenth longer than the quickest's."""
    if most == 1:
        return 1
    seconds = {threads: bench(bundle, threads, CHOICE_SECONDS).p50_seconds for threads in range(1, most + 1)}
    return min(threads for threads, taken in seconds.items() if taken <= NEAR_ENOUGH * min(seconds.values()))


def device() -> str:
    """The board's name where the kernel knows one, else the CPU's."""
    board = Path("/proc/device-tree/model")
    if board.is_file():
        return board.read_text(encoding="utf-8").strip("\0 \n")
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()}, {names[0] if names else platform.processor() or 'unknown CPU'}"
