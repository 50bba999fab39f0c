"""Where a run's numbers come from: code, machine, settings and data, written beside them."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from plumbline_training.config import RunConfig
from plumbline_training.datasets import Dataset

TOOLS = ("torch", "numpy", "opencv-python-headless", "onnx", "onnxruntime", "pycocotools")


def git_commit() -> str:
    """The commit of the source tree this package lies in, or 'unknown' outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def tool_versions() -> dict[str, str]:
    """Versions of Python and of the packages whose behaviour shapes a model."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in TOOLS}}


def write_run_record(config: RunConfig, train_sets: Sequence[Dataset], validation: Dataset, out: Path) -> None:
    """Write OUT/run.json."""
    record: dict[str, Any] = {
        "config": config.to_dict(),
        "config_digest": config.digest(),
        "git_commit": git_commit(),
        "tools": tool_versions(),
        "machine": platform.platform(),
        "train": [dataset.lineage().model_dump() for dataset in train_sets],
        "validation": validation.lineage().model_dump(),
    }
    (out / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
