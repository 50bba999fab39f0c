"""Counts of rendered repetitions are judged by how far both sides were meant to go."""

from __future__ import annotations

from typing import Any

import pytest
from infra.evaluate_coach_rendered import count_error, depths_of


def clip(exercise: str, depths: list[float], faults: list[tuple[str, str, int]]) -> dict[str, Any]:
    """What the evaluation asks of a clip: (name, severity, repetition) of each fault."""
    spells = [{"name": name, "severity": severity, "repetition": number} for name, severity, number in faults]
    return {"exercise": exercise, "repetitions": [{"depth": depth} for depth in depths], "faults": spells}


def test_one_side_that_lags_halves_what_it_lacks() -> None:
    shrug = clip("shoulder_shrug", [1.0, 1.0, 0.5], [("one_shoulder_lags", "severe", 1), ("too_low", "mild", 2)])
    assert depths_of(shrug) == pytest.approx([1.0, 0.625, 0.5])
    assert [count_error(shrug, count) for count in range(4)] == [1, 0, 0, 1]


def test_what_was_held_back_and_overdone_at_once_may_count_or_not() -> None:
    both = clip("front_raise", [1.0, 0.54], [("too_low", "moderate", 1), ("too_high", "severe", 1)])
    assert [count_error(both, count) for count in range(4)] == [1, 0, 0, 1]
    held_back = clip("front_raise", [1.0, 0.54], [("too_low", "moderate", 1)])
    assert [count_error(held_back, count) for count in range(4)] == [1, 0, 1, 2]
