"""The one-euro filter on keypoints: still when the person is still, quick when they move (Casiez et al., CHI 2012)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline_contract.decode import Keypoints

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OneEuroConfig:
    """The filter's behaviour; speeds are in body sizes a second, so that it does not depend on the picture's size."""

    min_cutoff_hz: float = 1.5
    """Cut-off of a keypoint at rest: lower is calmer and slower."""
    beta_hz: float = 8.0
    """What a speed of one body size a second adds to the cut-off: higher lags less in motion."""
    speed_cutoff_hz: float = 1.5
    """Cut-off of the speed's own estimate."""
    velocity_cutoff_hz: float = 3.0
    """Cut-off of the velocities that are given out."""
    full_score: float = 0.5
    """A keypoint scored this or more counts in full; below, it moves its point by proportionally less."""
    hold_score: float = 0.1
    """A keypoint scored this or less is not seen: its point stays where it was."""
    hold_seconds: float = 0.4
    """A point held for longer is dropped (score 0) until it is seen again."""
    reset_seconds: float = 0.5
    """After a gap this long the filter starts anew."""


def _weight(cutoff_hz: Points | float, step_seconds: float) -> Points:
    """Share of the new value in a first-order low-pass: 1 / (1 + tau / dt), tau = 1 / (2 pi f)."""
    turns = 2 * math.pi * np.asarray(cutoff_hz, dtype=np.float64) * step_seconds
    return np.asarray(turns / (1 + turns))


class KeypointSmoother:
    """A one-euro filter per keypoint, its weight scaled by the keypoint's score."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self._config = config or OneEuroConfig()
        self._points_K2: Points | None = None
        self._speeds_K2 = np.zeros((0, 2))
        self._velocities_K2 = np.zeros((0, 2))
        self._seen_at_K = np.zeros(0)
        self._timestamp = 0.0
        self._body_size = 1.0

    @property
    def velocities_K2(self) -> Points:
        """How each point moves, in pixels a second; nothing moves before the second picture."""
        return self._velocities_K2

    def reset(self) -> None:
        """Forget the past: the next keypoints are taken as they are."""
        self._points_K2 = None
        self._velocities_K2 = np.zeros_like(self._velocities_K2)

    def smooth(self, keypoints_K3: Keypoints, timestamp_seconds: float, body_size: float) -> Keypoints:
        """Keypoints (K, 3), x and y filtered, the score 0 where dropped; `body_size` is in the same pixels."""
        step = timestamp_seconds - self._timestamp
        measured_K2, scores_K = keypoints_K3[:, :2].astype(np.float64), keypoints_K3[:, 2].astype(np.float64)
        self._body_size = max(body_size, 1.0)
        if self._points_K2 is None or not 0 < step <= self._config.reset_seconds:
            self._points_K2 = measured_K2
            self._speeds_K2, self._velocities_K2 = np.zeros_like(measured_K2), np.zeros_like(measured_K2)
            self._seen_at_K = np.full(len(scores_K), timestamp_seconds)
        else:
            self._points_K2 = self._step(self._points_K2, measured_K2, scores_K, step, timestamp_seconds)
        self._timestamp = timestamp_seconds
        scores_K = np.where(self._dropped_K(timestamp_seconds), 0.0, scores_K)
        return np.concatenate([self._points_K2, scores_K[:, None]], axis=1).astype(np.float32)

    def _dropped_K(self, timestamp_seconds: float) -> npt.NDArray[np.bool_]:
        return np.asarray(timestamp_seconds - self._seen_at_K > self._config.hold_seconds)

    def _step(
        self, points_K2: Points, measured_K2: Points, scores_K: Points, step_seconds: float, timestamp_seconds: float
    ) -> Points:
        seen_K = scores_K > self._config.hold_score
        returned_K = seen_K & self._dropped_K(timestamp_seconds)
        self._seen_at_K = np.where(seen_K, timestamp_seconds, self._seen_at_K)
        trust_K1 = np.where(seen_K, np.clip(scores_K / self._config.full_score, 0.0, 1.0), 0.0)[:, None]
        speeds_K2 = (measured_K2 - points_K2) / step_seconds / self._body_size
        speed_weight = _weight(self._config.speed_cutoff_hz, step_seconds) * trust_K1
        self._speeds_K2 = (self._speeds_K2 + speed_weight * (speeds_K2 - self._speeds_K2)) * seen_K[:, None]
        speed_K1 = np.linalg.norm(self._speeds_K2, axis=1, keepdims=True)
        cutoff_K1 = self._config.min_cutoff_hz + self._config.beta_hz * speed_K1
        weight_K1 = np.where(returned_K[:, None], 1.0, _weight(cutoff_K1, step_seconds) * trust_K1)
        moved_K2 = weight_K1 * (measured_K2 - points_K2)
        # The filter's own speeds are taken from the point it lags behind with, and so exceed the true ones.
        velocity_weight = _weight(self._config.velocity_cutoff_hz, step_seconds)
        self._velocities_K2 = self._velocities_K2 + velocity_weight * (moved_K2 / step_seconds - self._velocities_K2)
        self._velocities_K2 = self._velocities_K2 * (seen_K & ~returned_K)[:, None]
        return np.asarray(points_K2 + moved_K2)
