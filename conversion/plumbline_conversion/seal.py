"""Seals a draft bundle: proves that it still replays, then fixes the digests of its files in the manifest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from plumbline_contract.manifest import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    OPTIONAL_FILES,
    AnyManifest,
    BundleFile,
    FormManifest,
    Manifest,
    parse_any_manifest,
    require_publishable,
)
from plumbline_conversion.errors import GoldenMismatch, IncompleteBundle
from plumbline_conversion.form import check_form, form_card
from plumbline_conversion.golden import load_golden, replay
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.model_card import refreshed
from plumbline_conversion.report import add_average_precision


def seal(bundle_dir: Path) -> AnyManifest:
    """Write the digests into manifest.json and give the sealed manifest back. Sealing twice changes nothing.

    The measured part of the model card, and the AP in the report beside the bundle, are written anew. Raises
    IncompleteBundle, InvalidManifest, GoldenMismatch or UnpublishableBundle and then leaves the folder as it was.
    """
    manifest = _read(bundle_dir)
    card_path = bundle_dir / "model-card.md"
    if isinstance(manifest, FormManifest):
        check_form(bundle_dir, manifest)
        card = form_card(manifest).encode()
    else:
        _check_model(bundle_dir, manifest)
        card = refreshed(card_path.read_text(encoding="utf-8"), manifest).encode()
    names = (*BUNDLE_FILES, *(name for name in OPTIONAL_FILES if (bundle_dir / name).is_file()))
    contents = {name: card if name == card_path.name else (bundle_dir / name).read_bytes() for name in names}
    files = {name: _digest(content) for name, content in contents.items()}
    sealed = type(manifest).model_validate({**manifest.model_dump(), "files": files})
    require_publishable(sealed)
    write_atomically(card_path, card)
    write_atomically(bundle_dir / MANIFEST_FILE, sealed.to_json().encode())
    if isinstance(sealed, Manifest):
        add_average_precision(bundle_dir.resolve().parent, sealed)
    return sealed


def _read(bundle_dir: Path) -> AnyManifest:
    missing = [name for name in (*BUNDLE_FILES, MANIFEST_FILE) if not (bundle_dir / name).is_file()]
    if missing:
        raise IncompleteBundle(f"{bundle_dir}: no {', '.join(missing)}; give a folder that plumbline-convert wrote")
    return parse_any_manifest((bundle_dir / MANIFEST_FILE).read_bytes())


def _check_model(bundle_dir: Path, manifest: Manifest) -> None:
    model = TFLiteModel(bundle_dir / "model.tflite")
    for what, facts, spec in (("input", model.input, manifest.input), ("output", model.output, manifest.output)):
        if (facts.dtype, facts.quantisation) != (spec.dtype, spec.quantisation):
            raise GoldenMismatch(
                f"{bundle_dir}: the model's {what} is {facts.dtype} with {facts.quantisation}, the manifest says "
                f"{spec.dtype} with {spec.quantisation}; convert the model again"
            )
    replay(model, load_golden(bundle_dir / "golden.npz", manifest), manifest)


def _digest(content: bytes) -> BundleFile:
    return BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file in one step, on disk before its name points there; the same content is left untouched."""
    if path.is_file() and path.read_bytes() == content:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
