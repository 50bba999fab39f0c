"""`make fuzz-conversion`: a damaged ONNX file ends in a clear error or a correct model, never a hang or crash.

The files are converted in processes of their own, so that a crash or a hang is seen as one. FUZZ_SEED and FUZZ_COUNT
change which files and how many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.conversion.graphs import export_record, mini_hrnet

pytestmark = pytest.mark.fuzz

COUNT, BATCH = int(os.environ.get("FUZZ_COUNT", "500")), 50
SECONDS_A_FILE = 20
Random = np.random.Generator


def truncated(content: bytes, random: Random) -> bytes:
    return content[: random.integers(0, len(content))]


def with_changed_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for position in random.integers(0, len(content), random.integers(1, 20)):
        changed[position] = random.integers(0, 256)
    return bytes(changed)


def with_a_piece_gone_or_doubled(content: bytes, random: Random) -> bytes:
    start, length = random.integers(0, len(content)), random.integers(1, 400)
    return content[:start] + content[start + length :] if random.random() < 0.5 else content[:start] * 2


def with_another_graph(content: bytes, random: Random) -> bytes:
    """Still an ONNX file: nodes, attributes, names, shapes or the opset are wrong."""
    model = onnx.load_from_string(content)
    nodes = model.graph.node
    node = nodes[random.integers(0, len(nodes))]
    which = random.integers(0, 8)
    if which == 0:
        node.op_type = str(random.choice(["Relu", "Conv", "Erf", "Concat", "Resize", "Add", "Softmax", "MaxPool"]))
    elif which == 1 and node.attribute:
        attribute = node.attribute[random.integers(0, len(node.attribute))]
        attribute.ints[:] = random.integers(-3, 9, max(1, len(attribute.ints))).tolist()
    elif which == 2:
        del nodes[random.integers(0, len(nodes))]
    elif which == 3 and node.input:
        node.input[random.integers(0, len(node.input))] = str(random.choice(["image", "", "none", nodes[-1].output[0]]))
    elif which == 4:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[random.integers(0, len(dims))].dim_value = int(random.choice([-1, 0, 1, 7, 96, 2**31, 2**40]))
    elif which == 5:
        model.opset_import[0].version = int(random.integers(-1, 40))
    elif which == 6:
        weight = model.graph.initializer[random.integers(0, len(model.graph.initializer))]
        weight.dims[:] = random.integers(0, 40, len(weight.dims)).tolist()
    else:
        weight = model.graph.initializer[random.integers(0, len(model.graph.initializer))]
        weight.raw_data = weight.raw_data[: random.integers(0, len(weight.raw_data) + 1)]
    return bytes(model.SerializeToString())


MUTATIONS = (truncated, with_changed_bytes, with_a_piece_gone_or_doubled, with_another_graph, with_another_graph)


def test_damaged_files_end_clearly(tmp_path: Path) -> None:
    random = np.random.default_rng(int(os.environ.get("FUZZ_SEED", "0")))
    content = mini_hrnet(export_record()).SerializeToString()
    files = []
    for number in range(COUNT):
        files.append(tmp_path / f"{number:04}.onnx")
        files[-1].write_bytes(MUTATIONS[number % len(MUTATIONS)](content, random))
    lines: list[str] = []
    for start in range(0, COUNT, BATCH):
        lines += _lines(files[start : start + BATCH])
    outcomes = Counter(line.split()[0] for line in lines)
    print(dict(outcomes))
    assert not [line for line in lines if line.startswith("WRONG ")]
    assert sum(outcomes.values()) == COUNT
    assert outcomes["error"] > COUNT / 2
    assert outcomes["correct"] > COUNT / 50  # or nothing would have come as far as TensorFlow


def _lines(files: list[Path]) -> list[str]:
    """What the worker says of each file. Fails where it hangs or dies, with the file's name."""
    command = [sys.executable, "-m", "tests.conversion.fuzz_worker", *map(str, files)]
    limit = SECONDS_A_FILE * len(files)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"a file hangs, the one after {(error.stdout or b'').splitlines()[-1:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("error ", "correct ", "WRONG "))]
    assert done.returncode == 0, f"crash after {lines[-1:]}: {done.stderr[-1500:]}"
    return lines
