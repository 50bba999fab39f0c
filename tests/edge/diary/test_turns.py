"""One after the other, and not too many who wait."""

from __future__ import annotations

import threading
import time

import pytest

from plumbline_edge.diary.turns import MOST_AT_ONCE, Turns
from plumbline_edge.errors import ReportUnderWay

REFUSED = "a report is being made, and others wait for theirs; ask again in a while"


def test_a_turn_that_does_not_come_is_refused_and_the_next_one_comes() -> None:
    turns = Turns(wait_seconds=0.05)
    with turns:
        for _ in range(2 * MOST_AT_ONCE):
            with pytest.raises(ReportUnderWay, match=REFUSED), turns:
                pass
    with turns:
        pass


def test_whoever_finds_enough_who_wait_is_refused_at_once() -> None:
    turns, taken, coming = Turns(wait_seconds=60), list[int](), threading.Barrier(MOST_AT_ONCE)

    def take(number: int) -> None:
        coming.wait(30)
        with turns:
            taken.append(number)

    with turns:
        waiting = [threading.Thread(target=take, args=(number,)) for number in range(MOST_AT_ONCE - 1)]
        for thread in waiting:
            thread.start()
        coming.wait(30)
        time.sleep(0.2)
        asked_at = time.monotonic()
        with pytest.raises(ReportUnderWay, match=REFUSED), turns:
            pass
        assert time.monotonic() - asked_at < 30
    for thread in waiting:
        thread.join(30)
    assert len(taken) == MOST_AT_ONCE - 1
