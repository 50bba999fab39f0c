"""A bundle folder on this device: read, checked against its digests, and its golden samples replayed."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from plumbline_contract.decode import DECODERS
from plumbline_contract.errors import UNREADABLE, DigestMismatch
from plumbline_contract.form import largest, probability_changes
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    AnyManifest,
    FormManifest,
    Manifest,
    parse_form_manifest,
    parse_manifest,
)
from plumbline_contract.preprocess import to_tensor
from plumbline_edge.coach.judge import FormModel
from plumbline_edge.errors import BundleUnusable, GoldenMismatch, TooSlowHere
from plumbline_edge.runtime import LiteRTFormModel, LiteRTModel, PoseModel

_Parsed = TypeVar("_Parsed", Manifest, FormManifest)


@dataclass(frozen=True)
class Bundle:
    """A folder whose files have the digests that its manifest names."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str

    def load_model(self, threads: int) -> PoseModel:
        """The model, ready to run. Raises BundleUnusable."""
        return LiteRTModel(self.folder / "model.tflite", self.manifest, threads)


@dataclass(frozen=True)
class GoldenResult:
    """How far this device is from what conversion saw, beside what the manifest allows."""

    samples: int
    heatmap_max_abs: float
    keypoint_max_px: float
    keypoints_compared: int
    latency_seconds: float
    """Median of one inference, without the first."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle folder. Raises BundleUnusable, InvalidManifest or DigestMismatch."""
    return Bundle(folder, *_verified(folder, parse_manifest))


def _verified(folder: Path, parse: Callable[[bytes], _Parsed]) -> tuple[_Parsed, str]:
    """The manifest and its digest, once every file has the digest that it names."""
    try:
        return _read_verified(folder, parse)
    except OSError as error:
        raise BundleUnusable(
            f"bundle {str(folder)!r}: {error.strerror or error}; check its permissions and its disk"
        ) from error


def _read_verified(folder: Path, parse: Callable[[bytes], _Parsed]) -> tuple[_Parsed, str]:
    manifest_file = folder / MANIFEST_FILE
    if not manifest_file.is_file():
        raise BundleUnusable(f"{str(folder)!r} holds no {MANIFEST_FILE}; give the folder of a bundle")
    text = manifest_file.read_bytes()
    manifest = parse(text)
    for name in BUNDLE_FILES:
        _require_file(folder / name, manifest)
    return manifest, hashlib.sha256(text).hexdigest()


def _require_file(path: Path, manifest: AnyManifest) -> None:
    if path.name not in manifest.files:
        raise BundleUnusable(f"{str(path.parent)!r} is a draft, without the digest of {path.name}; seal it first")
    if not path.is_file():
        raise BundleUnusable(f"{str(path.parent)!r} lacks {path.name}; fetch the bundle again")
    actual = sha256_of(path)
    if actual != manifest.files[path.name].sha256:
        raise DigestMismatch(str(path), manifest.files[path.name].sha256, actual)


@dataclass(frozen=True)
class FormBundle:
    """A judge's folder whose files have the digests that its manifest names."""

    folder: Path
    manifest: FormManifest
    manifest_sha256: str

    def load_model(self) -> LiteRTFormModel:
        """The judge, ready to be asked. Raises BundleUnusable."""
        return LiteRTFormModel(self.folder / "model.tflite", self.manifest)


def open_form_bundle(folder: Path) -> FormBundle:
    """Read and verify a judge's folder. Raises BundleUnusable, InvalidManifest or DigestMismatch."""
    return FormBundle(folder, *_verified(folder, parse_form_manifest))


def replay_form_golden(bundle: FormBundle, model: FormModel) -> float:
    """Ask about golden.npz on this device; the largest change of a probability. Raises GoldenMismatch, TooSlowHere."""
    path = bundle.folder / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            windows_NWC, expected_NL = archive["windows"], archive["logits"]
        begun_at = time.perf_counter()
        found_NL = np.stack([model.infer(window_WC) for window_WC in windows_NWC])
        latency_seconds = (time.perf_counter() - begun_at) / len(windows_NWC)
        changed = largest(probability_changes(expected_NL, found_NL))
    except UNREADABLE as error:
        raise BundleUnusable(f"{str(path)!r}: cannot be read ({error}); convert the judge again") from error
    manifest = bundle.manifest
    if not changed <= manifest.golden.probability_max_abs:
        raise GoldenMismatch(
            f"{manifest.name} {manifest.version}: on this device probabilities differ by {changed:.3g} (allowed"
            f" {manifest.golden.probability_max_abs:.3g}); do not use this judge here"
        )
    budget = manifest.golden.latency_budget_seconds
    if budget is not None and latency_seconds > budget:
        raise TooSlowHere(
            f"{manifest.name} {manifest.version}: an answer takes {latency_seconds:.3g} s here, allowed are"
            f" {budget:.3g}; do not use this judge here"
        )
    return changed


def replay_golden(bundle: Bundle, model: PoseModel) -> GoldenResult:
    """Run golden.npz on this device. Raises GoldenMismatch or TooSlowHere outside what the manifest allows."""
    crops_NHW3, expected_NKHW = _golden_samples(bundle)
    actual_NKHW, latency_seconds = _infer_timed(bundle, model, crops_NHW3)
    check, method = bundle.manifest.golden, bundle.manifest.output.decode
    expected_NK3, actual_NK3 = DECODERS[method](expected_NKHW), DECODERS[method](actual_NKHW)
    compared_NK = expected_NK3[..., 2] >= check.min_score
    distances = np.linalg.norm(expected_NK3[..., :2] - actual_NK3[..., :2], axis=-1)[compared_NK]
    result = GoldenResult(
        samples=len(crops_NHW3),
        heatmap_max_abs=float(np.abs(expected_NKHW - actual_NKHW).max()),
        keypoint_max_px=float(distances.max(initial=0.0)),
        keypoints_compared=int(compared_NK.sum()),
        latency_seconds=latency_seconds,
    )
    # Written so that a NaN fails.
    if not (result.heatmap_max_abs <= check.heatmap_max_abs and result.keypoint_max_px <= check.keypoint_max_px):
        raise GoldenMismatch(
            f"{bundle.manifest.name} {bundle.manifest.version}: on this device heatmaps differ by"
            f" {result.heatmap_max_abs:.3g} (allowed {check.heatmap_max_abs:.3g}) and keypoints by"
            f" {result.keypoint_max_px:.3g} px (allowed {check.keypoint_max_px:.3g}); do not use this bundle here,"
            " report the device and its runtime's version"
        )
    _require_fast(bundle.manifest, latency_seconds)
    return result


def _infer_timed(
    bundle: Bundle, model: PoseModel, crops_NHW3: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], float]:
    """Heatmaps (N, K, H, W), and the median time of an inference in seconds; a first one warms up."""
    tensors = [to_tensor(crop[None], bundle.manifest.input) for crop in crops_NHW3]
    model.infer(tensors[0])
    heatmaps, seconds = [], []
    for tensor in tensors:
        begun_at = time.perf_counter()
        heatmaps.append(model.infer(tensor))
        seconds.append(time.perf_counter() - begun_at)
    return np.stack(heatmaps), statistics.median(seconds)


def _require_fast(manifest: Manifest, latency_seconds: float) -> None:
    budget = manifest.golden.latency_budget_seconds
    if budget is not None and latency_seconds > budget:
        raise TooSlowHere(
            f"{manifest.name} {manifest.version}: an inference takes {latency_seconds:.3g} s here, allowed are"
            f" {budget:.3g}; do not use this bundle here, or give it more threads"
        )


def _golden_samples(bundle: Bundle) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    path = bundle.folder / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            crops_NHW3: npt.NDArray[Any] = archive["crops_rgb"]
            heatmaps_NHWK: npt.NDArray[Any] = archive["heatmaps"]
    except UNREADABLE as error:
        raise BundleUnusable(f"{str(path)!r}: cannot be read ({error}); convert the bundle again") from error
    source, target = bundle.manifest.input, bundle.manifest.output
    count = len(crops_NHW3)
    expected = ((count, source.height, source.width, 3), (count, target.height, target.width, len(target.keypoints)))
    if count == 0 or (crops_NHW3.shape, heatmaps_NHWK.shape) != expected or crops_NHW3.dtype != np.uint8:
        raise BundleUnusable(
            f"{str(path)!r}: crops {crops_NHW3.shape} {crops_NHW3.dtype} and heatmaps {heatmaps_NHWK.shape} do not fit"
            " the manifest; convert the bundle again"
        )
    return crops_NHW3, np.moveaxis(heatmaps_NHWK, -1, 1).astype(np.float32)
