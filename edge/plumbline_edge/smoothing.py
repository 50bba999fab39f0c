"""The one-euro filter on keypoints: still when the person is still, quick when they move (Casiez et al., CHI 2012)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline_contract.decode import Keypoints


@dataclass(frozen=True)
class OneEuroConfig:
    """The filter's behaviour; speeds are in body sizes a second, so that it does not depend on the picture's size."""

    min_cutoff_hz: float = 1.5
    """Cut-off of a keypoint at rest: lower is calmer and slower."""
    beta_hz: float = 8.0
    """What a speed of one body size a second adds to the cut-off: higher lags less in motion."""
    speed_cutoff_hz: float = 1.5
    """Cut-off of the speed's own estimate."""
    full_score: float = 0.5
    """A keypoint scored this or more counts in full; below, it moves its point by proportionally less."""
    reset_seconds: float = 0.5
    """After a gap this long the filter starts anew."""


def _weight(cutoff_hz: npt.NDArray[np.float64] | float, step_seconds: float) -> npt.NDArray[np.float64]:
    """Share of the new value in a first-order low-pass: 1 / (1 + tau / dt), tau = 1 / (2 pi f)."""
    turns = 2 * math.pi * np.asarray(cutoff_hz, dtype=np.float64) * step_seconds
    return np.asarray(turns / (1 + turns))


class KeypointSmoother:
    """A one-euro filter per keypoint, its weight scaled by the keypoint's score."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self._config = config or OneEuroConfig()
        self._points_K2: npt.NDArray[np.float64] | None = None
        self._speeds_K2 = np.zeros((0, 2))
        self._timestamp = 0.0

    def reset(self) -> None:
        """Forget the past: the next keypoints are taken as they are."""
        self._points_K2 = None

    def smooth(self, keypoints_K3: Keypoints, timestamp_seconds: float, body_size: float) -> Keypoints:
        """Keypoints (K, 3) with x and y filtered and the scores untouched; `body_size` is in the same pixels."""
        step = timestamp_seconds - self._timestamp
        measured_K2 = keypoints_K3[:, :2].astype(np.float64)
        if self._points_K2 is None or not 0 < step <= self._config.reset_seconds:
            self._points_K2, self._speeds_K2 = measured_K2, np.zeros_like(measured_K2)
        else:
            trust_K1 = np.clip(keypoints_K3[:, 2:].astype(np.float64) / self._config.full_score, 0.0, 1.0)
            self._points_K2 = self._step(self._points_K2, measured_K2, trust_K1, step, max(body_size, 1.0))
        self._timestamp = timestamp_seconds
        return np.concatenate([self._points_K2, keypoints_K3[:, 2:]], axis=1).astype(np.float32)

    def _step(
        self,
        points_K2: npt.NDArray[np.float64],
        measured_K2: npt.NDArray[np.float64],
        trust_K1: npt.NDArray[np.float64],
        step_seconds: float,
        body_size: float,
    ) -> npt.NDArray[np.float64]:
        speeds_K2 = (measured_K2 - points_K2) / step_seconds / body_size
        speed_weight = _weight(self._config.speed_cutoff_hz, step_seconds) * trust_K1
        self._speeds_K2 = self._speeds_K2 + speed_weight * (speeds_K2 - self._speeds_K2)
        speed_K1 = np.linalg.norm(self._speeds_K2, axis=1, keepdims=True)
        cutoff_K1 = self._config.min_cutoff_hz + self._config.beta_hz * speed_K1
        weight_K1 = _weight(cutoff_K1, step_seconds) * trust_K1
        return np.asarray(points_K2 + weight_K1 * (measured_K2 - points_K2))
