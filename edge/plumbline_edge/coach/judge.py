"""The learned judge of form: keeps half a minute of keypoints at its rate and asks its network ten times a second.

Axes: K keypoints, W frames and C channels of a window, L logits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from plumbline_contract.form import (
    HISTORY_FRAMES,
    LAG_FRAMES,
    RATE_HZ,
    WINDOW_FRAMES,
    Verdict,
    form_windows,
    read_answer,
)
from plumbline_contract.sequence import MAX_GAP_SECONDS, is_seen
from plumbline_contract.skeleton import NUM_KEYPOINTS

CUT_SECONDS: Final = 5.0
"""After a jump of time by more than this, or backwards, it may be another person: begin anew."""
LEAST_FRAMES: Final = 15
"""A judge that has seen fewer says nothing."""
LAG_SECONDS: Final[float] = LAG_FRAMES / RATE_HZ
"""An answer is about the moment so long before it."""
KNOWS_EXERCISE: Final[float] = 0.5
"""Below this mean probability of the exercise that is coached, the judge has no say: something else is done."""
LEAST_VERDICTS: Final = 5
_STEP: Final = 1 / RATE_HZ
_TOLERANCE: Final = 1e-6

Array = npt.NDArray[np.floating]


def has_say(known: Sequence[float]) -> bool:
    """Whether the judge knows what is done, by the probabilities that it lately gave the exercise that is coached."""
    return len(known) >= LEAST_VERDICTS and sum(known) / len(known) >= KNOWS_EXERCISE


class FormModel(Protocol):
    """A network from a window to logits."""

    def infer(self, window_WC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One window -> logits (L,) float32."""


class SequenceBuffer:
    """Keypoints at a fixed rate as `sequence.resample` gives them, frame by frame."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._rows: deque[npt.NDArray[np.float64]] = deque(maxlen=HISTORY_FRAMES)
        self._began: float | None = None
        self._last_seconds = 0.0
        self._count = 0
        self._last_K3 = np.zeros((NUM_KEYPOINTS, 3))
        self._last_K = np.full(NUM_KEYPOINTS, -np.inf)

    def add(self, seconds: float, keypoints_K3: Array) -> bool:
        """Take a frame that is later than the one before; whether the sequence got longer by it."""
        if self._began is None or not 0 < seconds - self._last_seconds <= CUT_SECONDS:
            self._clear()
            self._began = seconds
        before = self._count
        while self._began + self._count * _STEP <= seconds + _TOLERANCE:
            self._rows.append(np.zeros((NUM_KEYPOINTS, 3)))
            self._count += 1
        self._fill(seconds, np.asarray(keypoints_K3, dtype=np.float64))
        self._last_seconds = seconds
        return self._count > before

    def _fill(self, seconds: float, keypoints_K3: npt.NDArray[np.float64]) -> None:
        assert self._began is not None, "a frame was added"
        seen_K = is_seen(keypoints_K3)
        span_K = seconds - self._last_K
        bridged_K = seen_K & (span_K <= MAX_GAP_SECONDS + _TOLERANCE)
        for back in range(1, min(len(self._rows), int(MAX_GAP_SECONDS * RATE_HZ) + 2) + 1):
            at = self._began + (self._count - back) * _STEP
            if abs(at - seconds) <= _TOLERANCE:
                self._rows[-back][seen_K] = keypoints_K3[seen_K]
                continue
            between_K = bridged_K & (at > self._last_K + _TOLERANCE) & (at < seconds)
            if between_K.any():
                share_K1 = ((at - self._last_K[between_K]) / span_K[between_K])[:, None]
                last_K3 = self._last_K3[between_K]
                self._rows[-back][between_K] = last_K3 + share_K1 * (keypoints_K3[between_K] - last_K3)
        self._last_K3[seen_K] = keypoints_K3[seen_K]
        self._last_K[seen_K] = seconds

    def sequence(self) -> npt.NDArray[np.float64]:
        """The last half minute (T, K, 3)."""
        return np.stack(self._rows)


class FormJudge:
    """Follows one person; no clock and no camera, as the coach."""

    def __init__(self, model: FormModel) -> None:
        self._model = model
        self._buffer = SequenceBuffer()

    def update(self, seconds: float, keypoints_K3: Array) -> Verdict | None:
        """Take one frame; the judge's answer where it is time for another, which is about half a second ago.

        None too in the first moments, and not `whole` until a window is full.
        """
        if not self._buffer.add(seconds, keypoints_K3):
            return None
        sequence_TK3 = self._buffer.sequence()
        if len(sequence_TK3) < LEAST_FRAMES:
            return None
        answer = read_answer(self._model.infer(form_windows(sequence_TK3, [len(sequence_TK3) - 1])[0]))
        return replace(answer, whole=len(sequence_TK3) >= WINDOW_FRAMES)
