"""Runs the steps in a folder that keeps what is finished, and moves the bundles out at the end."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.manifest import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    OPTIONAL_FILES,
    Manifest,
    Precision,
    StepRecord,
    parse_manifest,
)
from plumbline_conversion.errors import InvalidPlan, OutputExists
from plumbline_conversion.memory import forget_peak, peak_bytes
from plumbline_conversion.plan import Plan
from plumbline_conversion.profile import Profile, load_profile
from plumbline_conversion.records import Ledger, digest, key_of, tools
from plumbline_conversion.report import PAGE_FILE, REPORT_FILE
from plumbline_conversion.steps import Files, Step, steps

Report = Callable[[str], None]
FINISHED, LOCK = "finished", ".lock"
"""In a work folder: the ledger, by which it is known as one, and what one conversion at a time holds."""


@dataclass(frozen=True)
class Draft:
    """A draft bundle that was written."""

    bundle_dir: Path
    manifest: Manifest
    profile: Profile
    size_bytes: int


def work_dir(plan: Plan) -> Path:
    """Where finished steps are kept."""
    return plan.work_dir or plan.out_dir / ".steps"


def convert(plan: Plan, report: Report) -> list[Draft]:
    """Run all steps that are not finished; `report` is told of each.

    A PlumblineError of any step leaves the bundles in plan.out_dir as they were. Finished steps stay in `work_dir`.
    """
    _check_output(plan)
    folder = work_dir(plan)
    with _alone(folder):
        files = Files(folder)
        todo = steps(plan, files)
        records = run_steps(todo, Ledger(folder / FINISHED), report)
        plan.out_dir.mkdir(parents=True, exist_ok=True)
        for name in (REPORT_FILE, PAGE_FILE):
            shutil.copyfile(folder / name, plan.out_dir / name)
        return [
            _publish(plan, files, precision, _of_precision(todo, records, precision)) for precision in plan.precisions
        ]


def run_steps(todo: Sequence[Step], ledger: Ledger, report: Report) -> list[StepRecord]:
    """Run the steps in order, skipping what is finished, and give the record of each."""
    records = []
    for number, step in enumerate(todo, start=1):
        inputs = {path.name: digest(path) for path in (*step.reads, *step.watches) if path.exists()}
        key = key_of(step.name, inputs, step.options)
        known = ledger.find(key, step.writes)
        record = known or _run(step, inputs)
        if known is None:
            ledger.add(key, record)
        did = "as before" if known else f"{record.seconds:.1f} s, {record.peak_memory_bytes / 1e9:.2f} GB"
        report(f"[{number}/{len(todo)}] {step.name}: {did}")
        records.append(record)
    return records


def _run(step: Step, inputs: dict[str, str]) -> StepRecord:
    for path in step.writes:
        _remove(path)
    forget_peak()
    started = time.perf_counter()
    step.run()
    return StepRecord(
        name=step.name,
        inputs=inputs,
        outputs={path.name: digest(path) for path in step.writes},
        seconds=round(time.perf_counter() - started, 3),
        peak_memory_bytes=peak_bytes(),
        tools=dict(tools()),
    )


def _of_precision(todo: Sequence[Step], records: Sequence[StepRecord], precision: Precision) -> tuple[StepRecord, ...]:
    """What this bundle came from: the shared steps, the proof of the translation, and its own."""
    mine = (None, "fp32", precision)
    return tuple(record for step, record in zip(todo, records, strict=True) if step.precision in mine)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; what was made here goes away again when nothing was finished.

    Raises OutputExists for a folder in use, and for one that holds anything but an earlier conversion's steps.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / FINISHED
    if _names(folder) - {LOCK} and not finished.is_dir():
        raise OutputExists(f"{folder}: holds files of no conversion; name a new or an empty folder with --work")
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputExists(f"{folder}: another conversion is at work there; wait, or name another --out") from error
        finished.mkdir(exist_ok=True)
        try:
            yield
        finally:
            if not _names(finished):
                _clear(folder, made)


def _clear(folder: Path, made: Sequence[Path]) -> None:
    """Remove the folder and its parents that were made here; of one that was there before the lock and the ledger."""
    if made:
        shutil.rmtree(folder)
        for parent in made[1:]:
            parent.rmdir()
    elif _names(folder) == {LOCK, FINISHED}:
        (folder / FINISHED).rmdir()
        (folder / LOCK).unlink()


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


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
        known = {*BUNDLE_FILES, *OPTIONAL_FILES, MANIFEST_FILE}
        if not target.is_dir() or _names(target) - known:
            raise OutputExists(f"{target}: holds more than a bundle and is not replaced; move it away")


def _publish(plan: Plan, files: Files, precision: Precision, records: tuple[StepRecord, ...]) -> Draft:
    """Put one bundle in its place by renaming; an older one steps aside first.

    The copy is made beside its place: the finished steps may lie on another disk, from which nothing can be renamed.
    """
    target = plan.out_dir / precision
    made, replaced = (plan.out_dir / f".{precision}-{name}" for name in ("published", "replaced"))
    for leftover in (made, replaced):
        _remove(leftover)
    shutil.copytree(files.bundle(precision), made)
    manifest = _with_steps(parse_manifest((made / MANIFEST_FILE).read_bytes()), records)
    (made / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    if target.exists():
        target.rename(replaced)
    made.rename(target)
    _remove(replaced)
    profile = load_profile(files.of(precision, "profile.json"))
    return Draft(target, manifest, profile, (target / "model.tflite").stat().st_size)


def _with_steps(manifest: Manifest, records: tuple[StepRecord, ...]) -> Manifest:
    lineage = manifest.lineage.model_copy(update={"steps": records})
    return manifest.model_copy(update={"lineage": lineage})


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
