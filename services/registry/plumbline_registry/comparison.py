"""Two versions beside each other: what was measured, where they came from, and what else differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from plumbline_contract.manifest import AnyManifest, FormManifest, Manifest
from plumbline_registry.models import Comparison, Difference, Figure

_ELSEWHERE: Final = ("metrics", "files", "name", "version")
"""Parts of the manifest that the comparison shows in another way."""


def compare(before: AnyManifest, after: AnyManifest) -> Comparison:
    """From one version of a bundle to another."""
    differences = _differences(before, after)
    return Comparison(
        name=after.name,
        before=before.version,
        after=after.version,
        metrics=tuple(_figures(before, after)),
        lineage=tuple(item for item in differences if item.field.startswith("lineage.")),
        other=tuple(item for item in differences if not item.field.startswith("lineage.")),
        same_files=tuple(
            file for file, entry in after.files.items() if before.files.get(file) == entry
        ),
    )  # fmt: skip


def measured(manifest: AnyManifest) -> dict[str, float]:
    """Every number of a manifest's metrics, and the size of every file, by a name that says what it is of."""
    found = _measured_form(manifest) if isinstance(manifest, FormManifest) else _measured_pose(manifest)
    for latency in manifest.metrics.latency:
        found[f"latency p50 s, {latency.threads} thread(s), {latency.machine}"] = latency.p50_seconds
    for file, entry in manifest.files.items():
        found[f"bytes {file}"] = entry.size_bytes
    return found


def _measured_form(manifest: FormManifest) -> dict[str, float]:
    found = {f"{score.name}, {score.dataset}": score.value for score in manifest.metrics.scores}
    for parity in manifest.metrics.parity:
        what = f"{parity.reference} -> {parity.candidate} {parity.precision}"
        found[f"probability max abs {what}"] = parity.probability_max_abs
        found[f"offset p99 torso lengths {what}"] = parity.offset_p99
    return found


def _measured_pose(manifest: Manifest) -> dict[str, float]:
    found: dict[str, float] = {}
    for ap in manifest.metrics.average_precision:
        found[f"AP {ap.stage} {ap.precision} {ap.dataset}"] = ap.ap
        found[f"AP50 {ap.stage} {ap.precision} {ap.dataset}"] = ap.ap50
    for parity in manifest.metrics.parity:
        what = f"{parity.reference} -> {parity.candidate} {parity.precision}"
        found[f"keypoint p99 px {what}"] = parity.keypoint_p99_px
        found[f"heatmap max abs {what}"] = parity.heatmap_max_abs
    return found


def _figures(before: AnyManifest, after: AnyManifest) -> Iterator[Figure]:
    left, right = measured(before), measured(after)
    for field in {**left, **right}:
        pair = left.get(field), right.get(field)
        change = None if pair[0] is None or pair[1] is None else pair[1] - pair[0]
        yield Figure(field=field, before=pair[0], after=pair[1], change=change)


def _differences(before: AnyManifest, after: AnyManifest) -> list[Difference]:
    left, right = (dict(_leaves("", manifest.model_dump(mode="json"))) for manifest in (before, after))
    return [
        Difference(field=field, before=left.get(field), after=right.get(field))
        for field in sorted({**left, **right})
        if left.get(field) != right.get(field) and field.split(".")[0] not in _ELSEWHERE
    ]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(f"{path}.{item.get('id', item.get('name', number))}", item)
    else:
        yield path, json.dumps(value)
