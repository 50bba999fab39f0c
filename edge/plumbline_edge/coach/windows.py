"""Smoothing over time windows: robust against single wrong frames, and the same at any frame rate."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

MOST_SECONDS: Final[float] = 2.5
"""However few frames come, a window reaches no further back: three frames at one a second, and some jitter."""


class TrimmedWindow:
    """The mean of the middle half of the last `seconds` of values: a few wild frames do not move it."""

    def __init__(self, seconds: float, frames: int = 1) -> None:
        """`frames`: where they are few, the values of so many last ones stay, up to MOST_SECONDS old.

        Frames count, not values: what is out of sight at a usual rate makes the window no longer.
        """
        self._seconds = seconds
        self._frames: deque[float] = deque(maxlen=frames)
        self._items: deque[tuple[float, float]] = deque()

    def push(self, time_seconds: float, value: float | None) -> float | None:
        """Add a value, or only let time pass with None; the smoothed value, None when the window is empty."""
        self._frames.append(time_seconds)
        if value is not None:
            self._items.append((time_seconds, value))
        reach_seconds = max(self._seconds, min(time_seconds - self._frames[0], MOST_SECONDS))
        while self._items and time_seconds - self._items[0][0] > reach_seconds:
            self._items.popleft()
        return self.value()

    def value(self) -> float | None:
        """The mean of the middle half."""
        if not self._items:
            return None
        values = sorted(value for _, value in self._items)
        trim = len(values) // 4
        middle = values[trim : len(values) - trim]
        return sum(middle) / len(middle)

    def span_seconds(self) -> float:
        """Time between the oldest and the newest value."""
        return self._items[-1][0] - self._items[0][0] if self._items else 0.0

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._frames.clear()


class RunningPercentile:
    """A percentile of the values of the last `seconds`, taken at most `rate_hz` times a second."""

    def __init__(self, percentile: float, seconds: float, rate_hz: float = 10.0, min_samples: int = 5) -> None:
        self._fraction = percentile / 100
        self._seconds = seconds
        self._interval = 1 / rate_hz
        self._min_samples = min_samples
        self._items: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def push(self, time_seconds: float, value: float) -> None:
        """Add a value, unless the last one is too recent."""
        if self._items and time_seconds - self._items[-1][0] < self._interval - 1e-6:
            return
        self._items.append((time_seconds, value))
        insort(self._sorted, value)
        while time_seconds - self._items[0][0] > self._seconds:
            _, oldest = self._items.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]

    def value(self, min_samples: int | None = None) -> float | None:
        """The percentile, None until there are enough values; old values stay while no new ones come.

        `min_samples`: how many are enough this time.
        """
        return self.at(self._fraction, min_samples)

    def at(self, fraction: float, min_samples: int | None = None) -> float | None:
        """Another percentile of the same values, as a fraction."""
        if len(self._items) < (min_samples or self._min_samples):
            return None
        return self._sorted[min(int(fraction * len(self._sorted)), len(self._sorted) - 1)]

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._sorted.clear()
