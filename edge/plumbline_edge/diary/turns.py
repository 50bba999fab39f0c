"""What takes much memory and time is made for one after the other."""

from __future__ import annotations

import threading
from typing import Final

from plumbline_edge.errors import ReportUnderWay

WAIT_SECONDS: Final = 20.0
"""For one's turn: a report of some minutes of exercise is made in less."""
MOST_AT_ONCE: Final = 6
"""Whose turn it is and those who wait for theirs. Each holds one of the web server's 40 threads."""


class Turns:
    """A lock for which a few wait, and not for ever; others are refused at once. Entering raises ReportUnderWay."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._wait_seconds = wait_seconds

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise _refusal()
        if not self._turn.acquire(timeout=self._wait_seconds):
            self._places.release()
            raise _refusal()

    def __exit__(self, *_: object) -> None:
        self._turn.release()
        self._places.release()


def _refusal() -> ReportUnderWay:
    return ReportUnderWay("a report is being made, and others wait for theirs; ask again in a while")
