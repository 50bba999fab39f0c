"""The report of a conversion: report.json for programs and report.html for people, beside the bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from plumbline_contract.manifest import AveragePrecision, Manifest, Parity, Precision
from plumbline_conversion.choice import Choice, load_choice
from plumbline_conversion.onnx_file import load_record
from plumbline_conversion.profile import Profile, load_profile
from plumbline_conversion.report_page import page
from plumbline_conversion.roofline import Estimate, estimate

REPORT_FILE: Final = "report.json"
PAGE_FILE: Final = "report.html"
ESTIMATED_THREADS: Final = (1, 3)
"""A Pi's coach leaves one of its four cores to the camera and the page."""


class PrecisionReport(BaseModel):
    """One TFLite file."""

    precision: Precision
    parity: Parity
    profile: Profile
    estimates: tuple[Estimate, ...]
    """Of a Raspberry Pi 4; no measurement."""


class Report(BaseModel):
    """All that is known of one conversion."""

    name: str
    version: str
    precisions: tuple[PrecisionReport, ...]
    choice: Choice | None
    average_precision: tuple[AveragePrecision, ...]


def write_report(record_path: Path, *paths: Path, precisions: Sequence[Precision], version: str) -> None:
    """Step: of the record, the choice if int8 was made, profiles and parities, write report.json and .html."""
    *inputs, report_path, page_path = paths
    choice = load_choice(inputs.pop(0)) if "int8" in precisions else None
    profiles, parities = inputs[: len(precisions)], inputs[len(precisions) :]
    record = load_record(record_path)
    report = Report(
        name=record.name,
        version=version,
        precisions=tuple(map(_of_precision, precisions, profiles, parities)),
        choice=choice,
        average_precision=record.metrics.average_precision,
    )
    report_path.write_text(report.model_dump_json(indent=2), encoding="utf-8")
    page_path.write_text(page(report), encoding="utf-8")


def _of_precision(precision: Precision, profile_path: Path, parity_path: Path) -> PrecisionReport:
    profile = load_profile(profile_path)
    return PrecisionReport(
        precision=precision,
        parity=Parity.model_validate_json(parity_path.read_text(encoding="utf-8")),
        profile=profile,
        estimates=tuple(estimate(profile.costs, threads) for threads in ESTIMATED_THREADS),
    )


def add_average_precision(folder: Path, manifest: Manifest) -> bool:
    """Bring the AP of a bundle into the report beside it; False where there is none of the same model and version."""
    try:
        report = Report.model_validate_json((folder / REPORT_FILE).read_bytes())
    except (OSError, ValidationError):
        return False
    if (report.name, report.version) != (manifest.name, manifest.version):
        return False
    known = {_key(item): item for item in (*report.average_precision, *manifest.metrics.average_precision)}
    updated = report.model_copy(update={"average_precision": tuple(known.values())})
    (folder / REPORT_FILE).write_text(updated.model_dump_json(indent=2), encoding="utf-8")
    (folder / PAGE_FILE).write_text(page(updated), encoding="utf-8")
    return True


def _key(item: AveragePrecision) -> tuple[str, str, str]:
    return item.stage, item.precision, item.dataset
