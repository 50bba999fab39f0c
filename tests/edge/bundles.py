"""Bundles that differ from the committed ones by something a test needs."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tests.edge.dots import DOTS_FP32

from plumbline_contract.manifest import BUNDLE_FILES, BundleFile, parse_manifest


def copy_bundle(folder: Path, **changes: Any) -> Path:
    """A copy of the float bundle with these manifest fields changed; its digests are those of its files."""
    shutil.copytree(DOTS_FP32, folder)
    return seal(folder, **changes)


def seal(folder: Path, **changes: Any) -> Path:
    """Write the manifest again, with these fields changed and the digests of the files as they are."""
    files = {}
    for name in BUNDLE_FILES:
        content = (folder / name).read_bytes()
        files[name] = BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    manifest = parse_manifest((folder / "manifest.json").read_bytes())
    text = manifest.model_copy(update={"files": files, **changes}).to_json()
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return folder


def spoil_golden(folder: Path) -> Path:
    """Move the expected heatmaps a little: what a device with broken arithmetic would see."""
    with np.load(folder / "golden.npz") as archive:
        crops, heatmaps = archive["crops_rgb"], archive["heatmaps"]
    np.savez_compressed(folder / "golden.npz", crops_rgb=crops, heatmaps=np.roll(heatmaps, 3, axis=1))
    return seal(folder)
