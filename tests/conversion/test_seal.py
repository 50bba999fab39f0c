"""Sealing fixes the digest of every file that travels, of the evaluation too where a draft has one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from plumbline_contract.manifest import BUNDLE_FILES, EVALUATION_FILE, MANIFEST_FILE, parse_manifest
from plumbline_conversion.seal import seal

BUNDLE = Path(__file__).parents[1] / "edge" / "data" / "dots-fp32"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A bundle as conversion leaves it: no digests."""
    folder = tmp_path / "draft"
    shutil.copytree(BUNDLE, folder)
    manifest = parse_manifest((folder / MANIFEST_FILE).read_bytes())
    (folder / MANIFEST_FILE).write_text(manifest.model_copy(update={"files": {}}).to_json())
    return folder


def test_evaluation_travels_with_the_bundle(draft: Path) -> None:
    assert set(seal(draft).files) == set(BUNDLE_FILES)
    (draft / EVALUATION_FILE).write_bytes(b"an evaluation")
    sealed = seal(draft)
    assert set(sealed.files) == {*BUNDLE_FILES, EVALUATION_FILE}
    assert sealed.files[EVALUATION_FILE].sha256 == hashlib.sha256(b"an evaluation").hexdigest()
    assert parse_manifest((draft / MANIFEST_FILE).read_bytes()) == sealed
