"""What a run says of the time ahead."""

from __future__ import annotations

import dataclasses

import pytest

from plumbline_training import recipes
from plumbline_training.config import Stage
from plumbline_training.records import duration, seconds_to_go


def test_time_to_go_grows_with_the_pixels() -> None:
    config = dataclasses.replace(recipes.tiny(), stages=(Stage(64, 64, 3), Stage(128, 64, 2)))
    assert seconds_to_go(config, 1, 10.0) == pytest.approx(2 * 10 + 2 * 20)
    assert seconds_to_go(config, 4, 20.0) == pytest.approx(20)
    assert [duration(value) for value in (40, 420, 7500, 3599)] == ["40 s", "7 min", "2 h 05 min", "1 h 00 min"]
