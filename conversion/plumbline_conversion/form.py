"""The judge of form from ONNX to bundles: the pose model's translation and quantisation, with proofs of its own.

Axes: N windows, W frames, C channels, L logits.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from pydantic import ValidationError

from plumbline_contract.errors import UNREADABLE
from plumbline_contract.form import CHANNELS, LOGITS, WINDOW_FRAMES, largest, offset_changes, probability_changes
from plumbline_contract.manifest import (
    MANIFEST_FILE,
    ONNX_METADATA_KEY,
    FormGolden,
    FormManifest,
    FormParity,
    FormRecord,
    FormTensor,
    Latency,
    Precision,
)
from plumbline_conversion.errors import GoldenMismatch, InvalidRecord, OutputExists, ParityLost, UnreadableModel
from plumbline_conversion.litert import TensorFacts, TFLiteModel
from plumbline_conversion.onnx_file import load_onnx
from plumbline_conversion.precisions import WEIGHTS
from plumbline_conversion.profile import latency
from plumbline_conversion.ranges import least_squares_ranges
from plumbline_conversion.records import tools
from plumbline_conversion.steps import lower, translate

LIMITS: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 1e-2, "dynamic": 0.1, "int8": 0.15}
"""Largest change of a probability at the 99th percentile, by precision."""
OFFSET_LIMITS: Final[dict[Precision, float]] = {"fp32": 1e-4, "fp16": 1e-3, "dynamic": 0.02, "int8": 0.04}
"""Largest change of an offset in torso lengths at the 99th percentile: some three times what the shipped judge's is,
whose own offsets go up to 0.3. Of golden.npz, the largest change at all."""
GOLDEN_TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 1e-3, "dynamic": 0.05, "int8": 0.1}
"""Another CPU rounds integers differently: largest change of any probability that a device may show."""
GOLDEN_WINDOWS: Final = 8
HELD_OUT_EVERY: Final = 5
"""Every fifth window proves parity and never calibrates."""

Windows = npt.NDArray[np.float32]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FormDraft:
    """A draft bundle that was written."""

    bundle_dir: Path
    manifest: FormManifest


def read_form_record(model: onnx.ModelProto) -> FormRecord:
    """The judge's record in the ONNX file's metadata. Raises InvalidRecord."""
    texts = [entry.value for entry in model.metadata_props if entry.key == ONNX_METADATA_KEY]
    try:
        return FormRecord.model_validate_json(texts[0] if texts else "{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise InvalidRecord(
            f"{ONNX_METADATA_KEY}: {where}: {first['msg']}; export a judge with plumbline-export-form"
        ) from error


def load_windows(path: Path) -> Windows:
    """The windows that training wrote beside the ONNX file. Raises UnreadableModel."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            windows: Windows = archive["windows"].astype(np.float32)
    except UNREADABLE as error:
        raise UnreadableModel(f"{path}: no windows of a judge ({error}); export it again") from error
    if windows.ndim != 3 or windows.shape[1:] != (WINDOW_FRAMES, CHANNELS) or len(windows) < 2 * HELD_OUT_EVERY:
        raise UnreadableModel(f"{path}: windows of shape {windows.shape}; export the judge again")
    return windows


def convert_form(onnx_path: Path, out_dir: Path, version: str, precisions: tuple[Precision, ...]) -> list[FormDraft]:
    """Write a draft bundle for each precision to OUT/PRECISION. Raises a PlumblineError; then none is written."""
    model = load_onnx(onnx_path)
    record = read_form_record(model)
    windows_NWC = load_windows(onnx_path.with_suffix(".npz"))
    taken = [out_dir / precision for precision in precisions if (out_dir / precision).exists()]
    if taken:
        raise OutputExists(f"{taken[0]}: exists; name another --out")
    held_out_NWC = windows_NWC[::HELD_OUT_EVERY]
    calibrating_NWC = np.delete(windows_NWC, np.s_[::HELD_OUT_EVERY], axis=0)
    reference_NL = run_onnx(model, held_out_NWC)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".steps-") as name:
        folder = Path(name)
        translate(onnx_path, folder / "record.json", folder / "saved_model", form="normalised")
        lower(folder / "saved_model", folder / "base.tflite")
        made = [
            _draft(folder, record, version, precision, calibrating_NWC, held_out_NWC, reference_NL)
            for precision in precisions
        ]
        for draft in made:
            draft.bundle_dir.rename(out_dir / draft.manifest.precision)
    return [FormDraft(out_dir / draft.manifest.precision, draft.manifest) for draft in made]


def _draft(
    folder: Path,
    record: FormRecord,
    version: str,
    precision: Precision,
    calibrating_NWC: Windows,
    held_out_NWC: Windows,
    reference_NL: Logits,
) -> FormDraft:
    bundle_dir = folder / "bundles" / precision
    bundle_dir.mkdir(parents=True)
    base = (folder / "base.tflite").read_bytes()
    content = _int8(base, calibrating_NWC) if precision == "int8" else WEIGHTS[precision](base)
    (bundle_dir / "model.tflite").write_bytes(content)
    model = TFLiteModel(bundle_dir / "model.tflite")
    found_NL = run_tflite(model, held_out_NWC)
    parity = measured_parity(reference_NL, found_NL, precision)
    require_parity(parity)
    golden_NWC = held_out_NWC[:GOLDEN_WINDOWS]
    np.savez_compressed(bundle_dir / "golden.npz", windows=golden_NWC, logits=run_tflite(model, golden_NWC))
    manifest = FormManifest(
        kind="form",
        name=record.name,
        version=version,
        precision=precision,
        input=_tensor(model.input),
        output=_tensor(model.output),
        thresholds=record.thresholds,
        lineage=record.lineage.model_copy(update={"tools": {**record.lineage.tools, **tools()}}),
        metrics=record.metrics.model_copy(
            update={
                "parity": (*record.metrics.parity, parity),
                "latency": (_latency(bundle_dir / "model.tflite", model, held_out_NWC),),
            }
        ),
        golden=FormGolden(probability_max_abs=GOLDEN_TOLERANCE[precision]),
    )
    (bundle_dir / "model-card.md").write_text(form_card(manifest), encoding="utf-8")
    (bundle_dir / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return FormDraft(bundle_dir, manifest)


def _int8(base: bytes, windows_NWC: Windows) -> bytes:
    from plumbline_conversion.tensorflow_backend.quantise import quantised

    return quantised(base, least_squares_ranges(base, windows_NWC[:, :, None, :]), "normalised")


def _tensor(facts: TensorFacts) -> FormTensor:
    return FormTensor.model_validate(
        {"dtype": facts.dtype, "quantisation": facts.quantisation and facts.quantisation.model_dump()}
    )


def _latency(path: Path, model: TFLiteModel, windows_NWC: Windows) -> Latency:
    return latency(path, in_numbers(model, windows_NWC[:1, :, None, :]), threads=1)


def run_onnx(model: onnx.ModelProto, windows_NWC: Windows) -> Logits:
    """Logits (N, L) by onnxruntime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs_NCW1 = np.ascontiguousarray(windows_NWC.transpose(0, 2, 1)[..., None])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: each[None]})[0].reshape(1, -1) for each in inputs_NCW1])


def in_numbers(model: TFLiteModel, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
    """Windows in the numbers that the file takes."""
    scale = model.input.quantisation
    if scale is None:
        return windows
    integers = np.round(windows / scale.scale) + scale.zero_point
    return np.asarray(np.clip(integers, -128, 127).astype(np.int8))


def run_tflite(model: TFLiteModel, windows_NWC: Windows) -> Logits:
    """Logits (N, L) by LiteRT."""
    inputs = in_numbers(model, windows_NWC[:, :, None, :])
    return np.stack([model.run(each[None]).reshape(LOGITS) for each in inputs]).astype(np.float32)


def measured_parity(reference_NL: Logits, candidate_NL: Logits, precision: Precision) -> FormParity:
    """How far a TFLite file's answers are from ONNX's. Raises ParityLost for answers that are not finite."""
    if not np.isfinite(candidate_NL).all():
        raise ParityLost(f"{precision}: answers are not finite; no bundle was written")
    return FormParity.measured("onnx", "tflite", precision, reference_NL, candidate_NL)


def require_parity(parity: FormParity) -> None:
    """Raise ParityLost beyond the limits of the precision."""
    for what, moved, limit in (
        ("probabilities", parity.probability_p99, LIMITS[parity.precision]),
        ("offsets", parity.offset_p99, OFFSET_LIMITS[parity.precision]),
    ):
        if moved > limit:
            raise ParityLost(
                f"{parity.precision}: {what} move by {moved:.3g} at the 99th percentile (limit {limit:g}); no bundle"
                " was written. Choose another precision"
            )


def form_card(manifest: FormManifest) -> str:
    """model-card.md of a judge: what it is, what it was measured at, and what it came from."""
    scores = "".join(f"| {s.name} | {s.dataset} | {s.samples} | {s.value:.3f} |\n" for s in manifest.metrics.scores)
    parities = "".join(
        f"| {p.reference} -> {p.candidate} {p.precision} | {p.probability_max_abs:.2g} | {p.offset_p99:.2g} |\n"
        for p in manifest.metrics.parity
    )
    times = "".join(
        f"{t.p50_seconds * 1000:.2f} ms on {t.machine}, {t.threads} thread(s)\n" for t in manifest.metrics.latency
    )
    data = "".join(f"- {d.id}: {d.images} sequences, {d.terms}\n" for d in manifest.lineage.datasets)
    return (
        f"# {manifest.name} {manifest.version} ({manifest.precision})\n\n"
        "A judge of form: from four seconds of one person's keypoints, which exercise it is, which phase, whether "
        "something is wrong, what, at which keypoints, and where they belong. It advises a coach; it is no medical "
        "device, and knows only the exercises and faults that its manifest lists.\n\n"
        f"## Measured\n\n| figure | data | n | value |\n|---|---|---|---|\n{scores}\n"
        f"| parity | probability, most | offset, p99, torso lengths |\n|---|---|---|\n{parities}\n{times}\n"
        f"## Made from\n\n{data}\nCommit {manifest.lineage.git_commit}.\n"
    )


def check_form(bundle_dir: Path, manifest: FormManifest) -> None:
    """Replay golden.npz on this machine. Raises GoldenMismatch."""
    model = TFLiteModel(bundle_dir / "model.tflite")
    if (_tensor(model.input), _tensor(model.output)) != (manifest.input, manifest.output):
        raise GoldenMismatch(f"{bundle_dir}: model.tflite is not what its manifest says; convert the judge again")
    try:
        with (bundle_dir / "golden.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            windows_NWC, expected_NL = archive["windows"], archive["logits"]
    except UNREADABLE as error:
        raise GoldenMismatch(f"{bundle_dir}: no valid golden.npz ({error}); convert the judge again") from error
    found_NL = run_tflite(model, windows_NWC)
    changed = largest(probability_changes(expected_NL, found_NL))
    moved = float(offset_changes(expected_NL, found_NL).max())
    for what, difference, limit in (
        ("probabilities", changed, manifest.golden.probability_max_abs),
        ("offsets", moved, OFFSET_LIMITS[manifest.precision]),
    ):
        if not difference <= limit:
            raise GoldenMismatch(
                f"{bundle_dir}: {what} differ by {difference:.3g} from golden.npz (limit {limit:g}); convert the judge"
                " again"
            )
