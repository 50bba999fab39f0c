"""The draft bundle: everything but the digests, which `seal` fixes once AP has been added."""

from __future__ import annotations

import shutil
from pathlib import Path

from plumbline_contract.manifest import (
    MANIFEST_FILE,
    ExportRecord,
    Lineage,
    Manifest,
    Metrics,
    Parity,
    Precision,
)
from plumbline_conversion.golden import golden_check
from plumbline_conversion.litert import TFLiteModel
from plumbline_conversion.model_card import model_card
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.profile import Profile, load_profile
from plumbline_conversion.records import tools
from plumbline_conversion.specs import bundle_specs


def write_draft(
    record_path: Path,
    tflite_path: Path,
    fp32_parity_path: Path,
    parity_path: Path,
    profile_path: Path,
    golden_path: Path,
    bundle_dir: Path,
    *,
    version: str,
    precision: Precision,
    model_card_path: Path | None,
) -> None:
    """Step: put a bundle's four files into one folder; the manifest has no digests yet."""
    record, model = load_record(record_path), TFLiteModel(tflite_path)
    input_spec, output_spec = bundle_specs(record, model)
    paths = dict.fromkeys((fp32_parity_path, parity_path))
    proofs = tuple(Parity.model_validate_json(path.read_text(encoding="utf-8")) for path in paths)
    manifest = Manifest(
        name=record.name,
        version=version,
        precision=precision,
        input=input_spec,
        output=output_spec,
        lineage=_with_tools(record.lineage),
        metrics=_metrics(record, proofs, load_profile(profile_path)),
        golden=golden_check(precision, output_spec.quantisation),
    )
    description = model_card_path.read_text(encoding="utf-8") if model_card_path else None
    bundle_dir.mkdir(parents=True)
    shutil.copyfile(tflite_path, bundle_dir / "model.tflite")
    shutil.copyfile(golden_path, bundle_dir / "golden.npz")
    (bundle_dir / "model-card.md").write_text(model_card(manifest, description), encoding="utf-8")
    (bundle_dir / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")


def _metrics(record: ExportRecord, proofs: tuple[Parity, ...], profile: Profile) -> Metrics:
    return Metrics(
        parity=(*record.metrics.parity, *proofs),
        average_precision=record.metrics.average_precision,
        latency=profile.latencies,
        runtimes=profile.runtimes,
    )


def _with_tools(lineage: Lineage) -> Lineage:
    return lineage.model_copy(update={"tools": {**lineage.tools, **tools()}})
