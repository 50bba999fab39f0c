"""A checkpoint is whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from plumbline_training.checkpoint import clean_keys, load_checkpoint, save_atomically, write_atomically
from plumbline_training.errors import InvalidCheckpoint, WriteFailed


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


def test_one_changed_byte_of_a_weight_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"weights": torch.zeros(4000)}, path)
    raw = bytearray(path.read_bytes())
    raw[raw.index(bytes(4000)) + 2000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InvalidCheckpoint, match="is damaged or no checkpoint; use an earlier one"):
        load_checkpoint(path)


def test_a_full_disk_is_said_and_leaves_the_earlier_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        if os.environ.get("CI"):
            pytest.fail("CI may not mount a small disk; run it as root")
        pytest.skip("mounting a small disk needs root")
    try:
        path = disk / "last.pt"
        save_atomically({"epoch": 1}, path)
        with pytest.raises(WriteFailed, match=r"last\.pt.*No space left on device.*free space and run again"):
            save_atomically({"epoch": 2, "weights": torch.zeros(1_000_000)}, path)
        assert load_checkpoint(path) == {"epoch": 1}
        assert [file.name for file in disk.iterdir()] == ["last.pt"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_larger_than_allowed_is_said(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from plumbline_training.checkpoint import save_atomically
        from plumbline_training.cli import run_command
        import torch
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        run_command(lambda: save_atomically({"weights": torch.zeros(100_000)}, Path(sys.argv[1])))
        """
    )
    command = [sys.executable, "-c", program, str(tmp_path / "last.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "File too large" in done.stderr
    assert "None" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_whole_and_a_missing_folder_is_said(tmp_path: Path) -> None:
    write_atomically("ü\n", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == b"\xc3\xbc\n"
    with pytest.raises(WriteFailed, match="No such file or directory"):
        write_atomically("", tmp_path / "gone" / "a.json")
