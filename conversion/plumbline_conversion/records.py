"""What each finished step read and wrote, kept beside its files: it is not done again while that stands."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pydantic import ValidationError

import plumbline_contract
from plumbline_contract.manifest import StepRecord

TOOLS: Final = (
    "plumbline-conversion",
    "onnx",
    "onnxruntime",
    "tensorflow-cpu",
    "tensorflow",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)
BLOCK_BYTES: Final = 1 << 20


def digest(path: Path) -> str:
    """sha256 of a file. A folder's covers its files' names, sizes and times: pictures by the thousand are not read."""
    if path.is_dir():
        entries = sorted((str(file.relative_to(path)), file.stat()) for file in path.rglob("*") if file.is_file())
        listing = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in entries)
        return hashlib.sha256(listing.encode()).hexdigest()
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


@cache
def tools() -> Mapping[str, str]:
    """Tool -> version, of those that are installed; our own code by its digest, which changes with every edit."""
    found = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, module in (("plumbline-conversion", __file__), ("plumbline-contract", plumbline_contract.__file__)):
        sources = hashlib.sha256()
        for file in sorted(Path(module).parent.rglob("*.py")):
            sources.update(file.read_bytes())
        found[f"{name} source"] = sources.hexdigest()[:16]
    return found


def key_of(name: str, inputs: Mapping[str, str], options: Mapping[str, object]) -> str:
    """What a step's result depends on, as one digest."""
    content = {"step": name, "inputs": dict(inputs), "options": dict(options), "tools": dict(tools())}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


class Ledger:
    """The records of one working folder, a file a step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str, outputs: Iterable[Path]) -> StepRecord | None:
        """The record of a step with that key whose outputs are still what it wrote."""
        try:
            record = StepRecord.model_validate_json((self._folder / f"{key}.json").read_bytes())
            standing = {path.name: digest(path) for path in outputs} == record.outputs
        except (OSError, ValidationError):
            return None
        return record if standing else None

    def add(self, key: str, record: StepRecord) -> None:
        """Note a finished step."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{key}.part"
        part.write_text(record.model_dump_json(indent=2), encoding="utf-8")
        part.replace(self._folder / f"{key}.json")
