"""`manifest.json`: what a bundle is, where it came from and what was measured; the record that an ONNX file carries.

A bundle directory holds BUNDLE_FILES and the manifest, and may hold OPTIONAL_FILES. Conversion drafts it, evaluation
adds average precision, `seal` fills in the digests; only sealed manifests travel.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import from_json

from plumbline_contract.decode import Alignment, DecodeMethod
from plumbline_contract.errors import InvalidManifest, UnpublishableBundle
from plumbline_contract.form import (
    CHANNELS,
    EXERCISES,
    FAULT_NAMES,
    LAG_FRAMES,
    LOGITS,
    RATE_HZ,
    WINDOW_FRAMES,
    Array,
    largest,
    offset_changes,
    probability_changes,
)
from plumbline_contract.skeleton import KEYPOINT_NAMES

MANIFEST_FILE: Final = "manifest.json"
BUNDLE_FILES: Final[tuple[str, ...]] = ("model.tflite", "golden.npz", "model-card.md")
EVALUATION_FILE: Final = "evaluation.npz"
OPTIONAL_FILES: Final[tuple[str, ...]] = (EVALUATION_FILE,)
"""What the registry keeps and compares; devices have no use for it and do not fetch it."""
ONNX_METADATA_KEY: Final = "plumbline.export"
"""The ONNX metadata property that holds an ExportRecord as JSON."""

NAME_PATTERN: Final = r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$"
_NUMBER: Final = "(?:0|[1-9][0-9]*)"
_IDENTIFIER: Final = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
VERSION_PATTERN: Final = rf"^({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?$"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
BundleName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN, max_length=64)]
Precision = Literal["fp32", "fp16", "dynamic", "int8"]
Stage = Literal["torch", "onnx", "tflite"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class BundleFile(_Model):
    """One file of the bundle."""

    sha256: Sha256 = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    size_bytes: int = Field(ge=1, examples=[1482752])


class Quantisation(_Model):
    """real = (integer - zero_point) * scale."""

    scale: float = Field(gt=0)
    zero_point: int


class InputSpec(_Model):
    """The tensor that the model takes, and how a picture becomes it."""

    height: int = Field(ge=32, le=4096, description="crop height in pixels")
    width: int = Field(ge=32, le=4096, description="crop width in pixels")
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["float32", "uint8", "int8"] = "float32"
    mean: tuple[float, float, float] = Field(default=(0.485, 0.456, 0.406), description="of RGB in [0, 1]; ImageNet's")
    std: tuple[float, float, float] = Field(default=(0.229, 0.224, 0.225), description="of RGB in [0, 1]; ImageNet's")
    quantisation: Quantisation | None = Field(default=None, description="for integer dtypes")
    box_padding: float = Field(
        default=1.25, ge=1, le=4, description="the person's box is grown by this before the crop"
    )

    @model_validator(mode="after")
    def _integer_means_quantised(self) -> InputSpec:
        if (self.dtype == "float32") != (self.quantisation is None):
            raise ValueError(f"dtype {self.dtype!r} and quantisation {self.quantisation!r} contradict each other")
        return self


class OutputSpec(_Model):
    """The heatmaps that the model gives, and how they are read."""

    height: int = Field(ge=8, description="heatmap rows")
    width: int = Field(ge=8, description="heatmap columns")
    stride: float = Field(default=4.0, gt=0, description="crop pixels a heatmap pixel")
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["float32", "uint8", "int8"] = "float32"
    quantisation: Quantisation | None = None
    keypoints: tuple[str, ...] = Field(default=KEYPOINT_NAMES, description="channel order")
    decode: DecodeMethod = "dark"
    alignment: Alignment = Field(default="centre", description="how heatmap pixels lie over the crop's")

    @model_validator(mode="after")
    def _known_skeleton(self) -> OutputSpec:
        if self.keypoints != KEYPOINT_NAMES:
            raise ValueError("keypoints must be the 17 COCO keypoints in COCO order")
        if (self.dtype == "float32") != (self.quantisation is None):
            raise ValueError(f"dtype {self.dtype!r} and quantisation {self.quantisation!r} contradict each other")
        return self


class Dataset(_Model):
    """Data that a model was trained on."""

    id: str = Field(min_length=1)
    sha256: Sha256 = Field(description="of the annotation file")
    images: int = Field(ge=0)
    terms: str = Field(min_length=1, description="licence or terms of use")


class StepRecord(_Model):
    """One step of the conversion: from which files to which, and what it took."""

    name: str = Field(min_length=1)
    inputs: dict[str, Sha256] = Field(description="file -> sha256")
    outputs: dict[str, Sha256] = Field(description="file -> sha256")
    seconds: float = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0, description="of the whole process while the step ran")
    tools: dict[str, str] = Field(description="tool -> version")


class Lineage(_Model):
    """Where a model came from: enough to make it again."""

    git_commit: str = Field(pattern=r"^([0-9a-f]{40}|unknown)$")
    recipe: str = Field(min_length=1)
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    checkpoint_sha256: Sha256
    created_at: datetime
    tools: dict[str, str] = Field(min_length=1, description="tool -> version")
    steps: tuple[StepRecord, ...] = Field(default=(), description="of the conversion, in order")


class Parity(_Model):
    """How far one form of the model is from another on the same inputs."""

    reference: Stage
    candidate: Stage
    precision: Precision
    samples: int = Field(ge=1)
    heatmap_max_abs: float = Field(ge=0)
    heatmap_mean_abs: float = Field(ge=0)
    keypoint_p99_px: float = Field(ge=0, description="99th percentile of keypoint distance in heatmap pixels")
    keypoint_max_px: float = Field(ge=0, description="largest keypoint distance in heatmap pixels")
    keypoints_compared: int = Field(ge=0, description="keypoints whose reference score is at least min_score")
    min_score: float = Field(ge=0)
    oks: float | None = Field(
        default=None, ge=0, le=1, description="mean OKS of the candidate's keypoints against the reference's"
    )


class AveragePrecision(_Model):
    """COCO keypoint AP of one form of the model, by pycocotools, on ground-truth boxes."""

    stage: Stage
    precision: Precision
    dataset: str = Field(min_length=1)
    images: int = Field(ge=1)
    persons: int = Field(ge=1)
    ap: float = Field(ge=-1, le=1)
    ap50: float = Field(ge=-1, le=1)
    ap_interval: tuple[float, float] | None = Field(default=None, description="95% bootstrap interval over images")


class Latency(_Model):
    """One inference with the machine it was taken on: the median and, where known, the 95th percentile."""

    p50_seconds: float = Field(gt=0)
    p95_seconds: float | None = Field(default=None, gt=0)
    threads: int = Field(ge=1)
    machine: str = Field(min_length=1)


class RuntimeCheck(_Model):
    """What a runtime made of model.tflite when it was tried."""

    runtime: str = Field(min_length=1, description="name and version, such as tflite-runtime 2.14.0")
    loads: bool
    xnnpack_partitions: int = Field(ge=0, description="pieces that XNNPACK takes; 0: it runs without XNNPACK")


class Metrics(_Model):
    """What was measured on the way."""

    parity: tuple[Parity, ...] = ()
    average_precision: tuple[AveragePrecision, ...] = ()
    latency: tuple[Latency, ...] = ()
    runtimes: tuple[RuntimeCheck, ...] = ()


class GoldenCheck(_Model):
    """How closely a device must reproduce golden.npz.

    golden.npz holds `crops_rgb` (N, H, W, 3) uint8 and `heatmaps` (N, h, w, K) float32, dequantised, as conversion saw.
    """

    heatmap_max_abs: float = Field(gt=0)
    keypoint_max_px: float = Field(gt=0, description="heatmap pixels, for keypoints scored at least min_score")
    min_score: float = Field(default=0.3, ge=0)
    latency_budget_seconds: float | None = Field(
        default=None, gt=0, description="median of one inference that a device may take; none: any"
    )


class ExportRecord(_Model):
    """What training writes into the ONNX file for conversion to read."""

    name: BundleName
    input: InputSpec
    output: OutputSpec
    lineage: Lineage
    metrics: Metrics


class Manifest(_Model):
    """The manifest of a bundle."""

    schema_version: Literal[1] = 1
    kind: Literal["pose"] = "pose"
    name: BundleName
    version: Version
    precision: Precision
    input: InputSpec
    output: OutputSpec
    lineage: Lineage
    metrics: Metrics = Metrics()
    golden: GoldenCheck
    files: dict[str, BundleFile] = Field(default={}, description="digests of the other files; empty in a draft")

    @model_validator(mode="after")
    def _only_bundle_files(self) -> Manifest:
        if unknown := sorted(set(self.files) - {*BUNDLE_FILES, *OPTIONAL_FILES}):
            raise ValueError(
                f"files: {unknown} are no part of a bundle, which holds {list(BUNDLE_FILES)} and may hold"
                f" {list(OPTIONAL_FILES)}"
            )
        return self

    def to_json(self) -> str:
        """The canonical text: the same manifest always gives the same bytes."""
        return self.model_dump_json(indent=2) + "\n"


class FormSpec(_Model):
    """What a judge of form takes and answers (plumbline_contract.form): (1, frames, 1, channels) to (1, 1, 1, logits).

    A judge made for other answers than this contract's is neither published nor heard; one that was published before
    they changed can still be read and compared.
    """

    frames: int = WINDOW_FRAMES
    channels: int = CHANNELS
    rate_hz: float = RATE_HZ
    lag_frames: int = Field(default=LAG_FRAMES, description="the answer is about the frame so long before the newest")
    logits: int = LOGITS
    exercises: tuple[str, ...] = EXERCISES
    faults: tuple[tuple[str, str], ...] = Field(default=FAULT_NAMES, description="(exercise, fault) in logit order")

    @property
    def is_current(self) -> bool:
        """Whether it is this contract's."""
        return self == FormSpec()


FORM_OUTDATED: Final = "made for other windows, exercises or faults than this contract's; train it again"


class FormTensor(_Model):
    """The numbers that one side of a judge's TFLite file is in."""

    dtype: Literal["float32", "int8"] = "float32"
    quantisation: Quantisation | None = None

    @model_validator(mode="after")
    def _integer_means_quantised(self) -> FormTensor:
        if (self.dtype == "float32") != (self.quantisation is None):
            raise ValueError(f"dtype {self.dtype!r} and quantisation {self.quantisation!r} contradict each other")
        return self


class FormParity(_Model):
    """How far one form of a judge is from another on the same windows."""

    reference: Stage
    candidate: Stage
    precision: Precision
    samples: int = Field(ge=1)
    probability_max_abs: float = Field(ge=0, le=1, description="of any probability")
    probability_p99: float = Field(ge=0, le=1)
    offset_p99: float = Field(ge=0, description="torso lengths")

    @classmethod
    def measured(
        cls, reference: Stage, candidate: Stage, precision: Precision, reference_NL: Array, candidate_NL: Array
    ) -> FormParity:
        """From the logits of both on the same windows, each (N, L)."""
        changed = probability_changes(reference_NL, candidate_NL)
        return cls(
            reference=reference,
            candidate=candidate,
            precision=precision,
            samples=len(reference_NL),
            probability_max_abs=largest(changed),
            probability_p99=max(float(np.percentile(part, 99)) for part in changed),
            offset_p99=float(np.percentile(offset_changes(reference_NL, candidate_NL), 99)),
        )


class FormScore(_Model):
    """One figure of a judge, on data that it did not see."""

    name: str = Field(min_length=1, examples=["fault macro F1, seen"])
    dataset: str = Field(min_length=1)
    samples: int = Field(ge=1)
    value: float = Field(ge=0, le=1)


class FormMetrics(_Model):
    """What was measured of a judge on the way."""

    parity: tuple[FormParity, ...] = ()
    scores: tuple[FormScore, ...] = ()
    latency: tuple[Latency, ...] = ()


class FormGolden(_Model):
    """How closely a device must reproduce golden.npz, which holds `windows` (N, W, C) and `logits` (N, L) float32."""

    probability_max_abs: float = Field(gt=0, le=1)
    latency_budget_seconds: float | None = Field(default=None, gt=0)


class FormRecord(_Model):
    """What training writes into the judge's ONNX file for conversion to read."""

    kind: Literal["form"] = "form"
    name: BundleName
    spec: FormSpec = FormSpec()
    thresholds: tuple[float, ...] = Field(min_length=len(FAULT_NAMES), max_length=len(FAULT_NAMES))
    lineage: Lineage
    metrics: FormMetrics

    @model_validator(mode="after")
    def _of_this_contract(self) -> FormRecord:
        if not self.spec.is_current:
            raise ValueError(FORM_OUTDATED)
        return self


class FormManifest(_Model):
    """The manifest of a judge of form: a bundle like any other, on channels and under signatures of its own name."""

    schema_version: Literal[1] = 1
    kind: Literal["form"]
    name: BundleName
    version: Version
    precision: Precision
    spec: FormSpec = FormSpec()
    input: FormTensor = FormTensor()
    output: FormTensor = FormTensor()
    thresholds: tuple[float, ...] = Field(
        description="of each of the spec's faults: it is told from this probability on"
    )
    lineage: Lineage
    metrics: FormMetrics = FormMetrics()
    golden: FormGolden
    files: dict[str, BundleFile] = Field(default={}, description="digests of the other files; empty in a draft")

    @model_validator(mode="after")
    def _only_bundle_files(self) -> FormManifest:
        if unknown := sorted(set(self.files) - set(BUNDLE_FILES)):
            raise ValueError(f"files: {unknown} are no part of a judge's bundle, which holds {list(BUNDLE_FILES)}")
        return self

    @model_validator(mode="after")
    def _threshold_for_each_fault(self) -> FormManifest:
        if len(self.thresholds) != len(self.spec.faults):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.spec.faults)} faults")
        return self

    def require_current(self) -> None:
        """Raise InvalidManifest if it was made for another contract."""
        if not self.spec.is_current:
            raise InvalidManifest(f"{MANIFEST_FILE}: spec: {FORM_OUTDATED}")

    def to_json(self) -> str:
        """The canonical text: the same manifest always gives the same bytes."""
        return self.model_dump_json(indent=2) + "\n"


AnyManifest = Manifest | FormManifest
_Parsed = TypeVar("_Parsed", Manifest, FormManifest)


def parse_manifest(text: str | bytes) -> Manifest:
    """Parse the manifest.json of a pose model. Raises InvalidManifest that names the first field at fault."""
    return _parse(Manifest, text)


def parse_form_manifest(text: str | bytes) -> FormManifest:
    """Parse the manifest.json of a judge of form. Raises InvalidManifest that names the first field at fault, also for
    a judge of another contract.
    """
    manifest = _parse(FormManifest, text)
    manifest.require_current()
    return manifest


def parse_any_manifest(text: str | bytes) -> AnyManifest:
    """Parse manifest.json, whichever kind it is of. Raises InvalidManifest that names the first field at fault.

    A judge of another contract is read too: require_current refuses it.
    """
    try:
        data = from_json(text)
    except ValueError:
        data = None
    if isinstance(data, dict) and data.get("kind") == "form":
        return _parse(FormManifest, text)
    return _parse(Manifest, text)


def _parse(kind: type[_Parsed], text: str | bytes) -> _Parsed:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST_FILE
        raise InvalidManifest(f"{MANIFEST_FILE}: {where}: {first['msg']} ({error.error_count()} problem(s))") from error


def require_publishable(manifest: AnyManifest) -> None:
    """Raise UnpublishableBundle unless all files have digests and parity with both earlier forms is recorded.

    Raises InvalidManifest for a judge of another contract.
    """
    if isinstance(manifest, FormManifest):
        manifest.require_current()
    missing = [f"the digest of {name}" for name in BUNDLE_FILES if name not in manifest.files]
    proven: set[tuple[str, str]] = {(parity.reference, parity.candidate) for parity in manifest.metrics.parity}
    for step in (("torch", "onnx"), ("onnx", "tflite")):
        if step not in proven:
            missing.append(f"parity {step[0]} -> {step[1]}")
    if missing:
        raise UnpublishableBundle(
            f"{manifest.name} {manifest.version} lacks {', '.join(missing)}; run the conversion and `seal` again"
        )


def version_key(version: str) -> tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]:
    """A key that sorts versions by semantic-versioning precedence (semver.org, clause 11)."""
    match = re.fullmatch(VERSION_PATTERN, version)
    if match is None:
        raise ValueError(f"{version!r} is no semantic version such as '1.4.0' or '1.4.0-rc.1'")
    major, minor, patch = (int(part) for part in match.groups())
    _, _, prerelease = version.partition("-")
    identifiers = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split(".") if prerelease
    )
    return major, minor, patch, 0 if prerelease else 1, identifiers
