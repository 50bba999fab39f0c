"""`make bench-conversion`: one inference of our float graph against onnx-tf's and, where installed, litert-torch's.

Same weights, same run, turn by turn, medians; figures of one run are comparable with each other alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
GOALS = {"w18_small": 1.15, "hrnet_w32": 1.05}
"""How many times faster than onnx-tf's graph ours is meant to be."""
BUILD = """
import sys
from pathlib import Path
from plumbline_conversion.classic import translate_classic
from plumbline_conversion.onnx_file import check_onnx
from plumbline_conversion.steps import lower, translate
from tests.conversion.environments import environment
from tests.conversion.nets import write_untrained
from plumbline_training.hrnet import HRNetConfig

W18_SMALL = HRNetConfig(stage1_blocks=1, stage1_channels=32, modules=(1, 1, 1), blocks=2, channels=(16, 32, 64, 128))
name, out = sys.argv[1], Path(sys.argv[2])
onnx_path = write_untrained(name, 256, 192, out / "model.onnx", W18_SMALL if name == "w18_small" else None)
check_onnx(onnx_path, out / "record.json")
translate(onnx_path, out / "record.json", out / "ours", form="normalised")
python = environment("onnx_tf")
translate_classic(onnx_path, out / "record.json", out / "onnx-tf", form="normalised", python=python)
for translator in ("ours", "onnx-tf"):
    lower(out / translator, out / f"{translator}.tflite")
"""


def build(name: str, folder: Path) -> dict[str, Path]:
    """Translator -> its float TFLite file of that net."""
    subprocess.run([sys.executable, "-c", BUILD, name, str(folder)], check=True, cwd=ROOT)
    return {translator: folder / f"{translator}.tflite" for translator in ("ours", "onnx-tf")}


def interpreter_of(path: Path) -> Any:
    """Ready to be invoked, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    image = np.random.default_rng(0).normal(size=source["shape"]).astype(np.float32)
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    return interpreter


def medians(files: dict[str, Path], seconds: float) -> dict[str, float]:
    """Median milliseconds of each, taken turn by turn so that a busy moment hits all of them."""
    interpreters = {name: interpreter_of(path) for name, path in files.items()}
    taken: dict[str, list[float]] = {name: [] for name in files}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(next(iter(taken.values()))) < 5:
        for name, interpreter in interpreters.items():
            started = time.perf_counter()
            interpreter.invoke()
            taken[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in taken.items()}


def with_litert_torch(name: str, files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The same net by litert-torch, where it is installed."""
    if find_spec("litert_torch") is None:
        print("litert-torch is not installed here: not compared")
        return files
    import litert_torch
    import torch

    from plumbline_training.architectures import ARCHITECTURES
    from plumbline_training.architectures import build as build_net

    torch.manual_seed(0)
    net = litert_torch.to_channel_last_io(build_net(ARCHITECTURES[name]).eval(), args=[0], outputs=[0])
    litert_torch.convert(net, (torch.zeros(1, 256, 192, 3),)).export(str(folder / "litert-torch.tflite"))
    return {**files, "litert-torch": folder / "litert-torch.tflite"}


def main() -> None:
    """Command line."""
    from plumbline_conversion.profile import machine_description

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=tuple(GOALS), default=tuple(GOALS))
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring a net (20)")
    arguments = parser.parse_args()
    print(machine_description())
    for name in arguments.nets:
        with tempfile.TemporaryDirectory() as folder:
            files = build(name, Path(folder))
            if name in ("hrnet_w32",):
                files = with_litert_torch(name, files, Path(folder))
            found = medians(files, arguments.seconds)
        ratio = found["onnx-tf"] / found["ours"]
        figures = ", ".join(f"{translator} {value:.2f} ms" for translator, value in found.items())
        print(f"{name} 256x192, 1 thread: {figures}; onnx-tf / ours {ratio:.2f} (goal {GOALS[name]})")


if __name__ == "__main__":
    main()
