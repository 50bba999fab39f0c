"""Environments with old pins, made once under the user's cache folder and made again when the pins change."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = "python3.11"
"""The newest that both onnx-tf's TensorFlow and tflite-runtime have wheels for."""


def cache_folder() -> Path:
    """Where slow pieces are kept outside the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plumbline"


def environment(name: str) -> Path:
    """The Python of the environment that conversion/NAME/requirements.txt describes."""
    requirements = ROOT / "conversion" / name / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([PYTHON, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
            subprocess.run([*pip, "install", "--requirement", str(requirements)], check=True)
            (folder / ".ready").touch()
    return folder / "bin" / "python"


def arm64_python() -> list[str]:
    """The command that runs an aarch64 Python with the edge's pinned wheels, emulated."""
    script = ROOT / "infra" / "lab" / "arm64.sh"
    done = subprocess.run([str(script), "python"], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()
