"""A bundle is what its manifest says, bit by bit, and does on this device what it did at conversion."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.edge.bundles import copy_bundle, seal, spoil_golden
from tests.edge.dots import DOTS_FP32, DOTS_INT8

from plumbline_contract.errors import DigestMismatch, InvalidManifest
from plumbline_contract.manifest import MANIFEST_FILE
from plumbline_edge.bundle import open_bundle, replay_golden
from plumbline_edge.errors import BundleUnusable, GoldenMismatch


@pytest.mark.parametrize(("folder", "tolerance"), [(DOTS_FP32, 1e-4), (DOTS_INT8, 0.1)], ids=["fp32", "int8"])
def test_good_bundle_opens_and_replays(folder: Path, tolerance: float) -> None:
    bundle = open_bundle(folder)
    assert bundle.manifest_sha256 == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    result = replay_golden(bundle, bundle.load_model(threads=1))
    assert (result.samples, result.keypoints_compared) == (2, 34)
    assert result.heatmap_max_abs < tolerance
    assert result.keypoint_max_px < 0.1


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "model-card.md"])
def test_one_changed_bit_in_any_file_is_noticed(tmp_path: Path, name: str) -> None:
    folder = copy_bundle(tmp_path / "bundle")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DigestMismatch, match=name):
        open_bundle(folder)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleUnusable, match=r"holds no manifest\.json"):
        open_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InvalidManifest, match=r"manifest\.json"):
        open_bundle(tmp_path)


def test_bundle_that_the_disk_does_not_give(tmp_path: Path) -> None:
    # Reading this file at its beginning is an input/output error, as on a failing card.
    (tmp_path / MANIFEST_FILE).symlink_to("/proc/self/mem")
    with pytest.raises(BundleUnusable, match="Input/output error; check its permissions and its disk"):
        open_bundle(tmp_path)


def test_incomplete_bundle_and_draft(tmp_path: Path) -> None:
    folder = copy_bundle(tmp_path / "bundle")
    (folder / "model-card.md").unlink()
    with pytest.raises(BundleUnusable, match=r"lacks model-card\.md"):
        open_bundle(folder)
    shutil.copy(DOTS_FP32 / "model-card.md", folder)
    seal(folder, files={})
    with pytest.raises(BundleUnusable, match="is a draft"):
        open_bundle(folder)


def test_golden_samples_that_this_device_does_not_reproduce(tmp_path: Path) -> None:
    bundle = open_bundle(spoil_golden(copy_bundle(tmp_path / "bundle")))
    with pytest.raises(GoldenMismatch, match=r"heatmaps differ by .* \(allowed 0\.0001\)"):
        replay_golden(bundle, bundle.load_model(threads=1))


def test_golden_samples_of_not_a_number(tmp_path: Path) -> None:
    folder = copy_bundle(tmp_path / "bundle")
    with np.load(folder / "golden.npz") as archive:
        crops, heatmaps = archive["crops_rgb"], archive["heatmaps"]
    np.savez(folder / "golden.npz", crops_rgb=crops, heatmaps=np.full_like(heatmaps, np.nan))
    bundle = open_bundle(seal(folder))
    with pytest.raises(GoldenMismatch):
        replay_golden(bundle, bundle.load_model(threads=1))


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_golden_file_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    folder = copy_bundle(tmp_path / "bundle")
    (folder / "golden.npz").write_bytes(content or b"PK")
    bundle = open_bundle(seal(folder))
    with pytest.raises(BundleUnusable, match=r"golden\.npz.*cannot be read"):
        replay_golden(bundle, bundle.load_model(threads=1))


def test_golden_samples_of_another_size(tmp_path: Path) -> None:
    folder = copy_bundle(tmp_path / "bundle")
    crops, heatmaps = np.zeros((1, 64, 48, 3), np.uint8), np.zeros((1, 16, 12, 17), np.float32)
    np.savez(folder / "golden.npz", crops_rgb=crops, heatmaps=heatmaps)
    bundle = open_bundle(seal(folder))
    with pytest.raises(BundleUnusable, match="do not fit the manifest"):
        replay_golden(bundle, bundle.load_model(threads=1))
