"""How fast frames pass and how long they take, over the last seconds or over everything."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

MAX_SAMPLES = 100_000


class Meter:
    """Frames with their time of completion and latency; `window_seconds` None keeps up to MAX_SAMPLES of them."""

    def __init__(self, window_seconds: float | None = None) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)
        self._lock = threading.Lock()

    def record(self, completed_at: float, latency_seconds: float) -> None:
        """Note a frame completed at this time.monotonic()."""
        with self._lock:
            self._samples.append((completed_at, latency_seconds))
            self._forget(completed_at)

    def fps(self, now: float) -> float:
        """Frames a second; 0 with fewer than two frames in the window."""
        with self._lock:
            self._forget(now)
            if len(self._samples) < 2:
                return 0.0
            span = self._samples[-1][0] - self._samples[0][0]
            return (len(self._samples) - 1) / span if span > 0 else 0.0

    def is_slower_than(self, fps: float, now: float) -> bool:
        """Whether most frames of at least half a window came more slowly; False without a window, and at a standstill.

        By the median, as one long gap, such as of a camera that was away, is no low rate.
        """
        if self._window_seconds is None:
            return False
        with self._lock:
            self._forget(now)
            completed_T = np.array([completed_at for completed_at, _ in self._samples])
        if len(completed_T) < 2 or completed_T[-1] - completed_T[0] < self._window_seconds / 2:
            return False
        return float(np.median(np.diff(completed_T))) > 1 / fps

    def p95_latency_seconds(self) -> float:
        """The 95th percentile of the latencies; 0 without any."""
        with self._lock:
            latencies = [latency for _, latency in self._samples]
        return float(np.percentile(latencies, 95)) if latencies else 0.0

    def _forget(self, now: float) -> None:
        if self._window_seconds is None:
            return
        while self._samples and self._samples[0][0] < now - self._window_seconds:
            self._samples.popleft()
