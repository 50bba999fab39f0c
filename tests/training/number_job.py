"""A job that needs no body model: writes what a number and a seed give, slowly enough to be killed."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plumbline_training.render import jobs


@dataclass
class NumberJob(jobs.Job):
    """`out`/NUMBER.bin of random bytes."""

    out: Path
    seconds: float = 0.0

    def start(self) -> None:
        """Nothing to load."""

    def make(self, number: int) -> None:
        """One file."""
        time.sleep(self.seconds)
        data = np.random.default_rng((5, number)).bytes(2000)
        jobs.write_whole(self.out / f"{number}.bin", data)


def write(job: NumberJob, count: int, workers: int) -> jobs.Made:
    """What is missing of `count` files."""
    jobs.clear_partial(job.out)
    todo = [number for number in range(count) if not (job.out / f"{number}.bin").exists()]
    return jobs.run(job, todo, count, workers, quiet=True)


if __name__ == "__main__":
    write(NumberJob(Path(sys.argv[1]), 0.05), 60, int(sys.argv[2]))
