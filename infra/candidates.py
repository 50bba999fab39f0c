"""What candidate students cost before any is trained: `make bench-candidates`.

Latency on LiteRT depends on the shape of a graph, not on its weights: random ones are converted and timed in turns
beside peers that are given by path.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from ai_edge_litert.interpreter import Interpreter

from plumbline_contract.manifest import InputSpec
from plumbline_training.architectures import ModelConfig, build
from plumbline_training.complexity import UNIT, measure
from plumbline_training.export import trace
from plumbline_training.hrnet import HRNET_EDGE_S, HRNetConfig
from plumbline_training.trunk_hrnet import TRUNK_HRNET_LITE0, TrunkHRNetConfig

ROUNDS = 15
LOWER = """
import sys
from pathlib import Path
from plumbline_conversion.steps import lower, translate
translate(Path(sys.argv[1]), Path("unused"), Path(sys.argv[2] + ".saved"), form="normalised")
lower(Path(sys.argv[2] + ".saved"), Path(sys.argv[2]))
"""
"""In a process of its own: TensorFlow keeps the memory it takes."""


class Candidate(NamedTuple):
    """A net at an input size."""

    name: str
    config: ModelConfig
    height: int
    width: int


def _dense(channels: tuple[int, int, int, int], modules: tuple[int, int, int], blocks: int) -> HRNetConfig:
    return HRNetConfig(32, 1, 32, modules, blocks, channels, "sigmoid")


DENSE_16_ONE_BLOCK = _dense((16, 32, 64, 128), (1, 1, 1), 1)
DENSE_16_MODULES_1_2_2 = _dense((16, 32, 64, 128), (1, 2, 2), 2)
DENSE_24 = _dense((24, 48, 96, 192), (1, 1, 1), 2)
LITE0_16_ONE_MODULE = TrunkHRNetConfig(channels=(16, 24, 40, 64), modules=1)
LITE2 = TrunkHRNetConfig(1.1, 1.2)

CANDIDATES = (
    Candidate("edge_s: dense 16, modules 1-1-1", HRNET_EDGE_S, 192, 160),
    Candidate("edge_s: dense 16, modules 1-1-1", HRNET_EDGE_S, 256, 192),
    Candidate("dense 16, modules 1-2-2", DENSE_16_MODULES_1_2_2, 256, 192),
    Candidate("dense 24, modules 1-1-1", DENSE_24, 256, 192),
    Candidate("dense 16, one block", DENSE_16_ONE_BLOCK, 256, 192),
    Candidate("Lite0 trunk, 16, one module", LITE0_16_ONE_MODULE, 192, 160),
    Candidate("Lite0 trunk, 16, one module", LITE0_16_ONE_MODULE, 256, 192),
    Candidate("Lite0 trunk, 32, two modules", TRUNK_HRNET_LITE0, 192, 160),
    Candidate("Lite0 trunk, 32, two modules", TRUNK_HRNET_LITE0, 256, 192),
    Candidate("Lite2 trunk, 32, two modules", LITE2, 256, 192),
)


def convert(candidate: Candidate, folder: Path) -> Path:
    """The candidate with random weights as a float TFLite file."""
    torch.manual_seed(0)
    net = build(candidate.config).eval()
    model = trace(net, InputSpec(height=candidate.height, width=candidate.width, layout="NCHW"))
    source, target = folder / "model.onnx", folder / "model.tflite"
    onnx.save(model, source)
    subprocess.run([sys.executable, "-c", LOWER, str(source), str(target)], check=True, capture_output=True)
    return target


def runner(path: Path, threads: int) -> Callable[[], None]:
    """One inference on zeros."""
    interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
    run: Callable[[], None] = interpreter.invoke
    return run


def medians(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Milliseconds of each, the contestants taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values[2:]) for name, values in taken.items()}


def lines(peers: list[Path], threads: int) -> Iterator[str]:
    """The table."""
    with tempfile.TemporaryDirectory() as name:
        runs: dict[str, Callable[[], None]] = {}
        facts: dict[str, str] = {}
        for number, candidate in enumerate(CANDIDATES):
            folder = Path(name) / str(number)
            folder.mkdir()
            label = f"{candidate.name}, {candidate.height}x{candidate.width}"
            cost = measure(build(candidate.config), candidate.height, candidate.width)
            path = convert(candidate, folder)
            facts[label] = f"{cost.parameters / 1e6:8.2f} {cost.multiply_adds / UNIT:8.3f}"
            runs[label] = runner(path, threads)
        for peer in peers:
            facts[peer.name], runs[peer.name] = f"{'':>8} {'':>8}", runner(peer, threads)
        found = medians(runs)
    yield f"{threads} thread(s), {platform.machine()}, float32, median of {ROUNDS - 2} turns"
    yield f"{'ms':>7} {'params M':>8} {'2^30 MAC':>8}  candidate"
    for label, value in found.items():
        yield f"{value:7.1f} {facts[label]}  {label}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", type=Path, help=".tflite files to time beside, such as MoveNet's")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for line in lines(arguments.peers, arguments.threads):
        print(line, flush=True)


if __name__ == "__main__":
    main()
