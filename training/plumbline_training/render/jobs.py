"""Many independent pieces of work on several processes: resumable, in any order, with a progress bar.

Each piece is a file that is whole or absent, and depends on the seed and its number alone; so neither the number of
processes nor an interruption changes a byte.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from plumbline_training.render.errors import InvalidRequest, WorkerLost

PARTIAL = ".partial"
SETTINGS = "render.json"
BATCH = 8
CHECKPOINT = 500


@dataclass(frozen=True)
class Made:
    """How much was made in this run."""

    count: int
    seconds: float

    def rate(self, unit: str) -> str:
        """For people: how many, in how long, how many an hour."""
        if not self.count:
            return f"all {unit}s were there already"
        an_hour = self.count / self.seconds * 3600
        return f"{self.count} {unit}s in {self.seconds:.0f} s ({an_hour:,.0f} an hour)"


def write_whole(path: Path, data: bytes) -> None:
    """All of the file or none of it, also when the machine loses power."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def clear_partial(folder: Path) -> None:
    """Removes what an interrupted run left half-written."""
    for path in folder.glob(f"*{PARTIAL}*"):
        path.unlink()


def keep_settings(folder: Path, settings: Mapping[str, object]) -> None:
    """Notes what a folder's files are made with. Raises InvalidRequest when it was begun with something else."""
    path = folder / SETTINGS
    text = json.dumps(settings, sort_keys=True, default=str)
    if path.is_file():
        try:
            begun = json.loads(path.read_bytes())
        except ValueError as error:
            raise InvalidRequest(f"{str(path)!r} is damaged ({error}); remove it or choose another --out") from error
        now = json.loads(text)
        other = [name for name in now if begun.get(name) != now[name]]
        if other:
            said = ", ".join(f"{name} {begun.get(name)!r}, now {now[name]!r}" for name in other)
            raise InvalidRequest(f"--out: {str(folder)!r} was begun with {said}; choose another folder, or ask as then")
    write_whole(path, text.encode())


def folder_size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / 1e6:,.1f} MB"


class Job:
    """What is done for each number; a subclass holds the options, and loads what is heavy once a process."""

    unit = "picture"

    def start(self) -> None:
        """Loads the body model; once in each process."""
        raise NotImplementedError

    def make(self, number: int) -> None:
        """Makes one piece and writes it whole."""
        raise NotImplementedError


_job: Job | None = None


def _begin(job: Job) -> None:
    global _job
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    _job = job
    job.start()


def _make(numbers: Sequence[int]) -> int:
    assert _job is not None, "the pool began with a job"
    for number in numbers:
        _job.make(number)
    return len(numbers)


def run(
    job: Job,
    todo: Sequence[int],
    total: int,
    workers: int,
    quiet: bool = False,
    checkpoint: Callable[[], object] = lambda: None,
) -> Made:
    """Makes the numbers in `todo`, in their order as far as several processes allow; `checkpoint` every few hundred.

    Raises WorkerLost.
    """
    if not todo:
        return Made(0, 0.0)
    began, ready = time.monotonic(), 0
    bar = tqdm(desc="rendering", unit=job.unit, initial=total - len(todo), total=total, disable=quiet)
    with bar:
        for done in _here(job, todo) if workers == 1 else _in_processes(job, todo, workers):
            bar.update(done)
            ready += done
            if ready // CHECKPOINT > (ready - done) // CHECKPOINT:
                checkpoint()
    return Made(len(todo), time.monotonic() - began)


def _here(job: Job, todo: Sequence[int]) -> Iterable[int]:
    _begin(job)
    for number in todo:
        yield _make([number])


def _in_processes(job: Job, todo: Sequence[int], workers: int) -> Iterable[int]:
    size = max(1, min(BATCH, len(todo) // workers))
    batches = [todo[start : start + size] for start in range(0, len(todo), size)]
    make: Callable[[Sequence[int]], int] = _make
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (job,))
    try:
        futures: list[Future[int]] = [pool.submit(make, batch) for batch in batches]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as lost:
        raise WorkerLost(
            "a worker process ended early (out of memory, or killed); what is finished is kept: give the same command "
            "again, perhaps with fewer --workers"
        ) from lost
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
