"""Hand-over between threads: the newest item only, never a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestSlot(Generic[Item]):
    """One place for one item: a newer one replaces an older one that nobody took."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave an item; says whether it replaced one that nobody took."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def take(self, timeout_seconds: float) -> Item | None:
        """Remove and return the item, waiting for one; None after the timeout, or once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_seconds)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """No further item will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether the slot is closed and empty."""
        with self._changed:
            return self._closed and self._item is None


class Latest(Generic[Item]):
    """The latest of a row of items, for any number of readers; each is told when there is a newer one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._number = 0

    def publish(self, item: Item) -> None:
        """Make this the latest item."""
        with self._changed:
            self._item = item
            self._number += 1
            self._changed.notify_all()

    def read(self) -> tuple[int, Item | None]:
        """The latest item and its number; 0 and None before the first."""
        with self._changed:
            return self._number, self._item

    def wait_newer(self, number: int, timeout_seconds: float) -> tuple[int, Item | None]:
        """The latest item once its number exceeds `number`; after the timeout the same number and None."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._number > number, timeout_seconds):
                return number, None
            return self._number, self._item

    def wait_until(self, holds: Callable[[Item], bool], timeout_seconds: float) -> bool:
        """Wait for an item of which this holds; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self._item is not None and holds(self._item), timeout_seconds)
