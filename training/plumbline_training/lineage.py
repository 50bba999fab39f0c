"""Where a run's numbers come from: code, machine, settings and data, written beside them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from plumbline_training.checkpoint import write_atomically
from plumbline_training.config import RunConfig
from plumbline_training.datasets import Dataset
from plumbline_training.numerics import fast_numerics

RUN_RECORD = "run.json"
CPU = torch.device("cpu")
TOOLS = ("torch", "numpy", "opencv-python-headless", "onnx", "onnxruntime", "pycocotools")


def _git(*arguments: str) -> str | None:
    """What git says of the source tree that this package lies in, or None where no repository tracks this very file."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # An installed package may lie inside somebody else's repository, in an ignored virtual environment.
        subprocess.run([*git, "ls-files", "--error-unmatch", Path(__file__).name], check=True, capture_output=True)
        done = subprocess.run([*git, *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def uncommitted() -> list[str]:
    """Files of the package that differ from the commit: a run with any is not made again from the commit alone."""
    return (_git("diff", "--name-only", "HEAD", "--", ".") or "").splitlines()


def hardware(device: torch.device) -> dict[str, Any]:
    """What a run is computed on, and in which numbers."""
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "system": platform.platform(),
        "processor": processor,
        "cores": os.cpu_count(),
        "processes": int(os.environ.get("WORLD_SIZE", 1)),
        "numerics": str(fast_numerics(device)),
    }


def _processor() -> str:
    """The name of the CPU, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def git_commit() -> str:
    """The commit of the source tree this package lies in, else what PLUMBLINE_COMMIT says, else 'unknown'.

    In a container no repository tracks this very file; who built the image knows.
    """
    return _git("rev-parse", "HEAD") or os.environ.get("PLUMBLINE_COMMIT") or "unknown"


def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages whose behaviour shapes a model."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in TOOLS}}


def initial_record(checkpoint: Path, state: dict[str, Any]) -> dict[str, Any]:
    """What a run keeps of the checkpoint it started from: its digest and all data behind it."""
    return {
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "datasets": merged_datasets(state),
    }


def merged_datasets(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of a checkpoint and of those it started from, each dataset once."""
    initial = state.get("initial") or {}
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for dataset in [*state.get("datasets", []), *initial.get("datasets", [])]:
        known.setdefault((dataset["id"], dataset["sha256"]), dataset)
    return list(known.values())


def data_digest(train_sets: Sequence[Dataset], validation: Dataset) -> str:
    """Names the data: a run resumes only on what it began with."""
    parts = [_data_part(dataset) for dataset in train_sets]
    return hashlib.sha256(json.dumps([parts, validation.sha256]).encode()).hexdigest()


def _data_part(dataset: Dataset) -> tuple[object, ...]:
    """What of a data set shapes samples; what has its default is left out, so that digests of earlier runs hold."""
    entry = dataset.entry
    keypoints = (entry.keypoints,) if entry.keypoints else ()
    flags = tuple(name for name in ("background", "unlabelled") if getattr(entry, name))
    return dataset.sha256, entry.repeat, *keypoints, *flags


def write_run_record(
    config: RunConfig,
    train_sets: Sequence[Dataset],
    validation: Dataset,
    out: Path,
    initial: dict[str, Any] | None = None,
    device: torch.device = CPU,
) -> None:
    """Write OUT/run.json."""
    record: dict[str, Any] = {
        "config": config.to_dict(),
        "config_digest": config.digest(),
        "git_commit": git_commit(),
        "tools": tool_versions(),
        "uncommitted": uncommitted(),
        "machine": hardware(device),
        "train": [dataset.lineage().model_dump() for dataset in train_sets],
        "validation": validation.lineage().model_dump(),
        "initial": initial,
    }
    write_atomically(json.dumps(record, indent=2) + "\n", out / RUN_RECORD)


def origin(checkpoint: Path, state: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Commit and tools that a checkpoint was trained with.

    From the checkpoint; for one that does not say, from the run.json beside it where that is of the same
    configuration; else 'unknown'.
    """
    if "git_commit" in state and "tools" in state:
        return state["git_commit"], state["tools"]
    try:
        record = json.loads((checkpoint.parent / RUN_RECORD).read_text(encoding="utf-8"))
        if record["config"] == json.loads(json.dumps(state["config"])):
            return record["git_commit"], record["tools"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return "unknown", {"training": "unknown"}
