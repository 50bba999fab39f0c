"""Many processes do what one does, and a run outlives the death of one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import nn

from plumbline_training import cli, recipes
from plumbline_training.architectures import build
from plumbline_training.batches import Batches
from plumbline_training.distributed import Processes
from plumbline_training.errors import InvalidSettings
from plumbline_training.records import BEST_CHECKPOINT, METRICS_FILE
from plumbline_training.step import parts_of, synchronised

MakeDataset = Callable[[Path, int], Path]
STEPS = Path(__file__).with_name("steps.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMEOUT_SECONDS = 300


def torchrun(*arguments: object, restarts: int = 0) -> list[str]:
    options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts)]
    return [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)]


def test_two_processes_step_as_one_that_accumulates_two_half_batches(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 24)
    alone, both = tmp_path / "alone.pt", tmp_path / "both.pt"
    for command in ([sys.executable, STEPS, data, alone, 2], torchrun(STEPS, data, both, 1)):
        subprocess.run([*map(str, command)], check=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
    one, two = (torch.load(path, weights_only=True) for path in (alone, both))
    assert len(one["losses"]) == 3
    assert one["losses"][0] != one["losses"][-1]
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    for name, weight in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], weight, atol=1e-5, rtol=0)


def test_a_teacher_lies_on_the_gpu_of_its_process(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, chosen = make_dataset(tmp_path / "data", 2), list[torch.device]()

    def load_teacher(path: Path) -> None:
        raise InvalidSettings(f"on {chosen}")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(cli, "load_teacher", load_teacher)
    command = ["plumbline-train", "--data", str(data), "--out", str(tmp_path / "run"), "--teacher", "any.pt"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="2"):
        cli.train_main()
    assert chosen == [torch.device("cuda", 3)]


def train(data: Path, out: Path) -> list[object]:
    options = ["--data", data, "--out", out, "--recipe", "tiny", "--stages", "64x64:4:1.5", "--quiet"]
    return ["-m", "plumbline_training", *options]


def workers_of(launcher: int) -> list[int]:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [pid for pid in map(int, children) if b"plumbline_training" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_is_replaced_and_the_run_ends_at_the_same_weights(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", 24)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(torchrun(*train(data, whole)), check=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
    command = torchrun(*train(data, broken), restarts=2)
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as launcher:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (broken / METRICS_FILE).exists():
            assert launcher.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(workers_of(launcher.pid)[-1], signal.SIGKILL)
        _, errors = launcher.communicate(timeout=TIMEOUT_SECONDS)
    assert launcher.returncode == 0, errors
    assert "SIGKILL" in errors or "-9" in errors
    lines = [json.loads(line) for line in (broken / METRICS_FILE).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    one, other = (torch.load(folder / BEST_CHECKPOINT, weights_only=True)["net"] for folder in (whole, broken))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_batch_statistics_over_all_gpus_keep_weights_and_names() -> None:
    net = build(recipes.tiny().model)
    names, first = list(net.state_dict()), next(net.parameters())
    alone = Processes(0, 1, torch.device("cpu"))
    converted = synchronised(net, alone)
    kinds = {type(module) for module in converted.modules()}
    assert nn.SyncBatchNorm in kinds
    assert nn.BatchNorm2d not in kinds
    assert list(converted.state_dict()) == names
    assert next(converted.parameters()) is first
    with pytest.raises(InvalidSettings, match="needs GPUs"):
        synchronised(net, Processes(0, 2, torch.device("cpu")))


def test_processes_share_each_batch_and_leave_none_out() -> None:
    config = recipes.tiny()
    alone = list(Batches(50, config, 3, Processes(0, 1, torch.device("cpu"))))
    shares = [list(Batches(50, config, 3, Processes(rank, 4, torch.device("cpu")))) for rank in range(4)]
    assert [[*chain(*parts)] for parts in zip(*shares, strict=True)] == alone
    assert len(alone) == 6
    assert alone != list(Batches(50, config, 4, Processes(0, 1, torch.device("cpu"))))


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="8 does not divide over 3 processes"):
        parts_of(recipes.tiny(), Processes(0, 3, torch.device("cpu")))
    assert parts_of(recipes.hrnet_w32_256x192(), Processes(0, 1, torch.device("cpu"))) == 4
    assert parts_of(recipes.hrnet_w32_256x192(), Processes(0, 4, torch.device("cpu"))) == 1
    assert parts_of(recipes.hrnet_w32_256x192(), Processes(0, 8, torch.device("cpu"))) == 1
