"""What goes wrong in a long run, done for real: killed at any moment, a full disk, truncated pictures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plumbline_training.checkpoint import load_checkpoint
from plumbline_training.records import LAST_CHECKPOINT, METRICS_FILE

MakeDataset = Callable[[Path, int], Path]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMEOUT_SECONDS = 240


def command(data: Path, out: Path, epochs: int = 4, *more: object) -> list[str]:
    options = ["--data", data, "--out", out, "--recipe", "tiny", "--stages", f"64x64:{epochs}:1.5", "--quiet", *more]
    return [sys.executable, "-m", "plumbline_training", *map(str, options)]


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def figures(out: Path) -> list[tuple[int, float, float]]:
    lines = map(json.loads, (out / METRICS_FILE).read_text().splitlines())
    return [(line["epoch"], line["loss"], line["ap"]) for line in lines]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(out / LAST_CHECKPOINT, weights_only=True)["net"])


def test_a_run_killed_at_any_moment_ends_at_the_same_figures_and_weights(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", 24)
    started = time.monotonic()
    assert run(data, tmp_path / "whole").returncode == 0
    whole_seconds = time.monotonic() - started
    generator = np.random.default_rng(0)
    kills = 0
    for _ in range(6):
        with subprocess.Popen(command(data, tmp_path / "killed"), env=ENVIRONMENT) as process:
            try:
                # Starting takes most of so short a run: kills fall into its second half, while it trains and writes.
                process.wait(float(generator.uniform(0.5, 1.0)) * whole_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode != -signal.SIGKILL:
            if kills:
                break
            # The machine has become faster than it was for the whole run: once more from nothing, killed sooner.
            shutil.rmtree(tmp_path / "killed")
            whole_seconds *= 0.7
            continue
        kills += 1
        done = tmp_path / "killed" / METRICS_FILE
        if (tmp_path / "killed" / LAST_CHECKPOINT).exists():
            assert (
                load_checkpoint(tmp_path / "killed" / LAST_CHECKPOINT)["epoch"]
                >= len(done.read_text().splitlines()) - 1
            )
    assert kills > 0
    assert run(data, tmp_path / "killed").returncode == 0
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[key], killed[key]) for key in whole)


def test_the_same_seed_gives_the_same_loss_to_the_bit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 24)
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        assert run(data, tmp_path / name, 1, "--seed", seed).returncode == 0
    assert figures(tmp_path / "one") == figures(tmp_path / "two")
    assert figures(tmp_path / "one") != figures(tmp_path / "other")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted (needs root): a full disk was NOT tried")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_when_there_is_space(
    make_dataset: MakeDataset, tmp_path: Path, small_disk: Path
) -> None:
    data = make_dataset(tmp_path / "data", 24)
    out = small_disk / "run"
    assert run(data, out, 3, "--stop-after", 1).returncode == 0
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(bytes(free - 8192))
    full = run(data, out, 3)
    assert full.returncode == 2
    assert "could not be written (No space left on device); free space and run again" in full.stderr
    assert load_checkpoint(out / LAST_CHECKPOINT)["epoch"] == 1
    assert not list(out.glob("*.partial"))
    (small_disk / "filler").unlink()
    assert run(data, out, 3).returncode == 0
    assert [epoch for epoch, _, _ in figures(out)] == [1, 2, 3]


@pytest.mark.parametrize(("persons", "broken", "code"), [(120, 1, 0), (24, 2, 2)])
def test_a_truncated_picture_is_skipped_and_counted_and_many_stop_the_run(
    make_dataset: MakeDataset, tmp_path: Path, persons: int, broken: int, code: int
) -> None:
    data, other = make_dataset(tmp_path / "data", persons), make_dataset(tmp_path / "other", 3)
    for picture in sorted((tmp_path / "data" / "images").iterdir())[:broken]:
        picture.write_bytes(picture.read_bytes()[:-300])
    listed = data.read_text()
    data.write_text(listed[: listed.index("validation")] + other.read_text()[other.read_text().index("validation") :])
    content = data.read_text().replace(
        "validation: {id: made, annotations: ", f"validation: {{id: made, annotations: {other.parent}/"
    )
    head, tail = content.split("validation: ")
    data.write_text(head + "validation: " + tail.replace("images: images", f"images: {other.parent}/images"))
    done = subprocess.run(
        [item for item in command(data, tmp_path / "run", 1) if item != "--quiet"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    said = done.stderr + done.stdout
    expected = "1 of 120 pictures are broken and left out" if code == 0 else "2 of 24 pictures cannot be decoded"
    assert expected in said
