"""Work on several processes: the same bytes with any number of them, and after a kill in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.training.number_job import NumberJob, write

from plumbline_training.render import jobs
from plumbline_training.render.errors import InvalidRequest, WorkerLost

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        assert write(NumberJob(tmp_path / str(workers)), 30, workers).count == 30
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert write(NumberJob(tmp_path / "1"), 30, 1).rate("file") == "all files were there already"


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    write(NumberJob(whole), 60, 1)
    command = [sys.executable, "-m", "tests.training.number_job", str(cut), "2"]
    running = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    while len(list(cut.glob("*.bin"))) < 5:
        assert running.poll() is None, "it must not end before it is killed"
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    (cut / "59.bin.123.partial").write_bytes(b"half")
    assert 5 <= len(list(cut.glob("*.bin"))) < 60
    write(NumberJob(cut), 60, 2)
    assert contents(cut) == contents(whole)


class Deadly(NumberJob):
    """Ends its process, as the kernel does when memory runs out."""

    def make(self, number: int) -> None:
        """Never returns."""
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_lost_worker_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkerLost, match="what is finished is kept"):
        jobs.run(Deadly(tmp_path), range(4), 4, 2, quiet=True)


def test_a_checkpoint_comes_every_few_hundred(tmp_path: Path) -> None:
    seen: list[int] = []
    todo = range(2 * jobs.CHECKPOINT + 10)
    jobs.run(NumberJob(tmp_path), todo, len(todo), 1, True, lambda: seen.append(len(list(tmp_path.iterdir()))))
    assert seen == [jobs.CHECKPOINT, 2 * jobs.CHECKPOINT]


def test_a_folder_begun_with_other_options_is_refused(tmp_path: Path) -> None:
    jobs.keep_settings(tmp_path, {"seed": 1, "poses": None})
    jobs.keep_settings(tmp_path, {"seed": 1, "poses": None})
    with pytest.raises(InvalidRequest, match="was begun with seed 1, now 2; choose another folder"):
        jobs.keep_settings(tmp_path, {"seed": 2, "poses": None})
    (tmp_path / jobs.SETTINGS).write_text("{")
    with pytest.raises(InvalidRequest, match="is damaged"):
        jobs.keep_settings(tmp_path, {"seed": 1})
