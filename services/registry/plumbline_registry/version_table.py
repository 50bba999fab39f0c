"""Versions of one bundle beside each other: the numbers that decide, each row with its best value marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_contract.manifest import AnyManifest, FormManifest, Manifest
from plumbline_registry.models import VersionInfo

_PARITY: Final = "Keypoints moved by conversion, p99, px"
_SIZE: Final = "Model, MB"
_AP: Final = "AP on "
_SCORE: Final = "Judge: "
_MORE_IS_BETTER: Final = (_AP, _SCORE)


@dataclass(frozen=True)
class Column:
    """One version, with the channels that give it now."""

    info: VersionInfo
    manifest: AnyManifest
    channels: tuple[str, ...]
    devices: int
    """How many say that they run it."""


@dataclass(frozen=True)
class Cell:
    """One number as text; the best of its row, where versions differ."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One quantity over all versions."""

    label: str
    cells: tuple[Cell, ...]


def rows(columns: Sequence[Column]) -> list[Row]:
    """AP on each data set, parity, latency on each machine, size; in the order of the columns."""
    numbers = [_numbers(column.manifest) for column in columns]
    labels = sorted({label for found in numbers for label in found}, key=_order)
    return [Row(label, _cells(label, [found.get(label) for found in numbers])) for label in labels]


def _numbers(manifest: AnyManifest) -> dict[str, float]:
    """What is known of the file that travels."""
    found = _scores(manifest) if isinstance(manifest, FormManifest) else _accuracy(manifest)
    found |= {
        f"Latency, {item.threads} thread(s), {item.machine}, ms": item.p50_seconds * 1000
        for item in manifest.metrics.latency
    }
    return found | {_SIZE: manifest.files["model.tflite"].size_bytes / 1e6}


def _scores(manifest: FormManifest) -> dict[str, float]:
    return {f"{_SCORE}{score.name}, {score.dataset}": score.value for score in manifest.metrics.scores}


def _accuracy(manifest: Manifest) -> dict[str, float]:
    metrics, precision = manifest.metrics, manifest.precision
    found = {
        f"{_AP}{item.dataset}": item.ap
        for item in metrics.average_precision
        if (item.stage, item.precision) == ("tflite", precision)
    }
    form = ("tflite", manifest.precision)
    moved = [item.keypoint_p99_px for item in metrics.parity if (item.candidate, item.precision) == form]
    if moved:
        found[_PARITY] = moved[-1]
    return found


def _cells(label: str, values: Sequence[float | None]) -> tuple[Cell, ...]:
    known = {value for value in values if value is not None}
    best = (max if label.startswith(_MORE_IS_BETTER) else min)(known) if len(known) > 1 else None
    return tuple(
        Cell("–" if value is None else _text(label, value), value is not None and value == best) for value in values
    )


def _text(label: str, value: float) -> str:
    if label.startswith(_MORE_IS_BETTER):
        return f"{value:.4f}"
    return f"{value:.3g}" if label == _PARITY else f"{value:.2f}"


def _order(label: str) -> tuple[int, str]:
    first = (_AP, _SCORE, _PARITY, "Latency", _SIZE)
    return next(number for number, begin in enumerate(first) if label.startswith(begin)), label
