"""A checkpoint is whole or not there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from plumbline_training.checkpoint import clean_keys, load_checkpoint, save_atomically
from plumbline_training.errors import InvalidCheckpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"weights": torch.arange(3.0), "epoch": 2}, path)
    loaded = load_checkpoint(path)
    assert loaded["weights"].tolist() == [0.0, 1.0, 2.0]
    assert loaded["epoch"] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"no checkpoint"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "last.pt"
    save_atomically({"weights": torch.zeros(1000)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InvalidCheckpoint, match=r"last\.pt"):
        load_checkpoint(path)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"hook": Path.unlink}, path)
    with pytest.raises(InvalidCheckpoint):
        load_checkpoint(path)


def test_killed_while_saving_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"epoch": 1}, path)
    program = textwrap.dedent(
        """
        import sys, torch
        from pathlib import Path
        from plumbline_training.checkpoint import save_atomically
        print("ready", flush=True)
        while True:
            save_atomically({"epoch": 2, "weights": torch.zeros(8_000_000)}, Path(sys.argv[1]))
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.kill()
    assert load_checkpoint(path)["epoch"] in (1, 2)


def test_wrappers_prefixes_are_taken_off() -> None:
    weights = {"module._orig_mod.conv1.weight": torch.zeros(1), "module._orig_mod.module_list.bias": torch.zeros(1)}
    assert set(clean_keys(weights)) == {"conv1.weight", "module_list.bias"}
