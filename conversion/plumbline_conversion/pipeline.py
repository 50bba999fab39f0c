"""Runs the steps in a folder of their own and moves the finished bundles out at the end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.manifest import BUNDLE_FILES, MANIFEST_FILE, Manifest, Precision, parse_manifest
from plumbline_conversion.errors import InvalidPlan, OutputExists
from plumbline_conversion.plan import Plan
from plumbline_conversion.profile import Profile, load_profile
from plumbline_conversion.steps import Files, steps


@dataclass(frozen=True)
class Draft:
    """A draft bundle that was written."""

    bundle_dir: Path
    manifest: Manifest
    profile: Profile
    size_bytes: int


def convert(plan: Plan, report: Callable[[str], None]) -> list[Draft]:
    """Run all steps; `report` is told of each. A PlumblineError of any step leaves plan.out_dir as it was."""
    _check_output(plan)
    plan.out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plan.out_dir.parent, prefix=f".{plan.out_dir.name}.") as folder:
        files = Files(Path(folder))
        todo = steps(plan, files)
        for number, step in enumerate(todo, start=1):
            started = time.perf_counter()
            step.run()
            report(f"[{number}/{len(todo)}] {step.name}: {time.perf_counter() - started:.1f} s")
        return [_publish(plan, files, precision) for precision in plan.precisions]


def _check_output(plan: Plan) -> None:
    """Raise before any work is done for nothing."""
    if plan.model_card is not None and not plan.model_card.is_file():
        raise InvalidPlan(f"model card {plan.model_card}: no such file")
    if plan.out_dir.exists() and not plan.out_dir.is_dir():
        raise OutputExists(f"{plan.out_dir}: is a file; name a folder")
    for precision in plan.precisions:
        target = plan.out_dir / precision
        if not target.exists():
            continue
        if not plan.overwrite:
            raise OutputExists(f"{target}: exists; name another --out, or replace it with --overwrite")
        if not target.is_dir() or {entry.name for entry in target.iterdir()} - {*BUNDLE_FILES, MANIFEST_FILE}:
            raise OutputExists(f"{target}: holds more than a bundle and is not replaced; move it away")


def _publish(plan: Plan, files: Files, precision: Precision) -> Draft:
    """Move one bundle to its place by renaming; an older one steps aside first."""
    target, made = plan.out_dir / precision, files.bundle(precision)
    plan.out_dir.mkdir(exist_ok=True)
    if target.exists():
        target.rename(files.of(precision, "replaced"))
    made.rename(target)
    manifest = parse_manifest((target / MANIFEST_FILE).read_bytes())
    profile = load_profile(files.of(precision, "profile.json"))
    return Draft(target, manifest, profile, (target / "model.tflite").stat().st_size)
