"""Newest item only; every reader told."""

from __future__ import annotations

import threading
import time

from plumbline_edge.slot import Latest, NewestSlot


def test_newer_item_replaces_one_not_taken() -> None:
    slot: NewestSlot[int] = NewestSlot()
    assert [slot.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert slot.take(0.1) == 3
    assert slot.put(4) is False


def test_take_waits_for_an_item_and_gives_up_after_the_timeout() -> None:
    slot: NewestSlot[int] = NewestSlot()
    assert slot.take(0.02) is None
    threading.Timer(0.05, lambda: slot.put(7)).start()
    assert slot.take(2.0) == 7


def test_closing_wakes_the_taker_after_the_last_item() -> None:
    slot: NewestSlot[int] = NewestSlot()
    slot.put(1)
    slot.close()
    assert not slot.exhausted
    assert slot.take(1.0) == 1
    started_at = time.monotonic()
    assert slot.take(5.0) is None
    assert time.monotonic() - started_at < 1.0
    assert slot.exhausted


def test_latest_tells_every_reader() -> None:
    latest: Latest[str] = Latest()
    assert latest.read() == (0, None)
    seen: list[tuple[int, str | None]] = []
    readers = [threading.Thread(target=lambda: seen.append(latest.wait_newer(0, 2.0))) for _ in range(3)]
    for reader in readers:
        reader.start()
    latest.publish("a")
    for reader in readers:
        reader.join()
    assert seen == [(1, "a")] * 3
    assert latest.wait_newer(1, 0.02) == (1, None)
