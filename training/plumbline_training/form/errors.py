"""A pose model's errors, for the judge to learn with: made up, or of pictures, where they hang on pose, view and light.

A track is one clip through the pose model beside what is true of it. A performance takes the errors that a track of the
same exercise and view has at the likest poses, and on them, from any moment on, what the track's errors have besides.
T frames at the contract's rate, B frames of a track, K keypoints. Errors in torso lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import UNREADABLE
from plumbline_contract.form import EXERCISES
from plumbline_contract.sequence import is_seen
from plumbline_contract.skeleton import MIRROR, NUM_KEYPOINTS, Keypoint
from plumbline_training.errors import InvalidDataset

Points = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LIKE_POSES: Final = 0.03
"""How far poses in which a model errs alike are apart, as the root of the mean square over keypoints: one wrist by an
eighth of a torso length, say."""
LIKE_VIEWS_DEGREES: Final = 15.0
ANY_EXERCISE_SHARE: Final = 0.2
"""Of all draws, those from tracks of whatever exercise: there are few of each."""
MOST_OFF: Final = 3.0
"""Errors beyond are of somebody else."""


@dataclass(frozen=True)
class Noise:
    """Errors of keypoints on each axis, in torso lengths."""

    constant: float
    """Of a keypoint throughout a clip: this person's knee is always seen a little too high."""
    slow: float
    """Changing over `slow_seconds`, as the pose does."""
    slow_seconds: float
    white: float
    """Of each frame by itself."""

    def sample(self, frames: int, rate_hz: float, rng: np.random.Generator) -> Points:
        """Errors (T, 17, 2)."""
        shape = (frames, NUM_KEYPOINTS, 2)
        slow_TK2 = rng.normal(0, self.slow, shape)
        kept = math.exp(-1 / (rate_hz * self.slow_seconds))
        for frame in range(1, frames):
            slow_TK2[frame] = kept * slow_TK2[frame - 1] + math.sqrt(1 - kept**2) * slow_TK2[frame]
        return np.asarray(slow_TK2 + rng.normal(0, self.constant, shape[1:]) + rng.normal(0, self.white, shape))


SHIPPED: Final = Noise(constant=0.036, slow=0.012, slow_seconds=0.5, white=0.002)
"""As `infra.find_keypoints` measured it of version 0.4.0 of the model on 22 rendered clips through their pixels
(docs/coach.md): a median error of 0.055 torso lengths in all, most of it the same from frame to frame."""


@dataclass(frozen=True)
class ErrorTrack:
    """One clip: where keypoints are, from the middle of the hips, how far the model was off, and what it saw."""

    exercise: int
    azimuth_degrees: float
    """Where the camera stands: 0 before the person, 90 at their left side, -90 at their right side."""
    pose_BK2: Points
    error_BK2: Points
    """0 where it is not known."""
    seen_BK: Flags

    def mirrored(self) -> ErrorTrack:
        """Left and right exchanged."""
        order, flip = list(MIRROR), np.array([-1.0, 1.0])
        pose_BK2, error_BK2 = self.pose_BK2[:, order] * flip, self.error_BK2[:, order] * flip
        return ErrorTrack(self.exercise, -self.azimuth_degrees, pose_BK2, error_BK2, self.seen_BK[:, order])


def hip_centred(points_TK2: Points, torso_px: float) -> Points:
    """Keypoints from the middle of the hips, in torso lengths."""
    hips_T12 = points_TK2[:, [Keypoint.LEFT_HIP, Keypoint.RIGHT_HIP]].mean(axis=1, keepdims=True)
    return np.asarray((points_TK2 - hips_T12) / torso_px)


def error_track(
    exercise: str, azimuth_degrees: float, true_TK2: Points, found_TK3: Points, torso_px: float
) -> ErrorTrack:
    """From true and found keypoints in pixels; a true keypoint that is not known is NaN."""
    seen_TK = is_seen(found_TK3) & np.isfinite(true_TK2).all(axis=-1)
    error_TK2 = np.where(seen_TK[..., None], (found_TK3[..., :2] - true_TK2) / torso_px, 0.0)
    kept_TK = np.abs(error_TK2).max(axis=-1) < MOST_OFF
    pose_TK2 = np.nan_to_num(hip_centred(true_TK2, torso_px))
    error_TK2 = np.where(kept_TK[..., None], error_TK2, 0.0)
    return ErrorTrack(EXERCISES.index(exercise), azimuth_degrees, pose_TK2, error_TK2, seen_TK & kept_TK)


def save_error_tracks(tracks: Sequence[ErrorTrack], path: Path) -> None:
    """Write an npz."""
    np.savez_compressed(
        path,
        lengths=[len(track.pose_BK2) for track in tracks],
        exercise=[EXERCISES[track.exercise] for track in tracks],
        azimuth_degrees=[track.azimuth_degrees for track in tracks],
        pose=np.concatenate([track.pose_BK2 for track in tracks]).astype(np.float32),
        error=np.concatenate([track.error_BK2 for track in tracks]).astype(np.float32),
        seen=np.concatenate([track.seen_BK for track in tracks]),
    )


def load_error_tracks(path: Path) -> list[ErrorTrack]:
    """Read what `save_error_tracks` wrote. Raises InvalidDataset."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            ends = np.cumsum(archive["lengths"])[:-1]
            parts = [np.split(archive[name], ends) for name in ("pose", "error", "seen")]
            heads = zip(archive["exercise"].tolist(), archive["azimuth_degrees"].tolist(), strict=True)
            return [
                ErrorTrack(EXERCISES.index(exercise), azimuth, pose.astype(float), error.astype(float), seen)
                for (exercise, azimuth), pose, error, seen in zip(heads, *parts, strict=True)
            ]
    except UNREADABLE as error:
        raise InvalidDataset(
            f"{str(path)!r} holds no errors of a pose model ({error}); make some: python -m infra.find_keypoints"
        ) from error


@dataclass(frozen=True)
class _Prepared:
    """A track whose errors are parted into what hangs on the pose and the rest."""

    track: ErrorTrack
    usual_BK2: Points
    rest_BK2: Points


class ErrorBank:
    """Tracks to take errors from, each also in a looking-glass."""

    def __init__(self, tracks: Sequence[ErrorTrack]) -> None:
        """Raises InvalidDataset when there is none."""
        if not tracks:
            raise InvalidDataset("no clip's errors to learn with; give more clips")
        self._all = [_prepared(each) for track in tracks for each in (track, track.mirrored())]
        self._exercise_C = np.array([each.track.exercise for each in self._all])
        self._azimuth_C = np.array([each.track.azimuth_degrees for each in self._all])

    def sample(
        self, exercise: int, azimuth_degrees: float, pose_TK2: Points, rng: np.random.Generator
    ) -> tuple[Points, Flags]:
        """Errors (T, K, 2) and which keypoints are seen (T, K) of a performance seen from there."""
        off_C = np.abs((self._azimuth_C - azimuth_degrees + 180) % 360 - 180)
        weight_C = np.exp(-0.5 * (off_C / LIKE_VIEWS_DEGREES) ** 2) + 1e-4
        if rng.random() >= ANY_EXERCISE_SHARE and (self._exercise_C == exercise).any():
            weight_C = weight_C * (self._exercise_C == exercise)
        chosen = self._all[rng.choice(len(self._all), p=weight_C / weight_C.sum())]
        likeness_TB = _likeness(pose_TK2, chosen.track.pose_BK2)
        usual_TK2 = (likeness_TB @ chosen.usual_BK2.reshape(len(chosen.usual_BK2), -1)).reshape(pose_TK2.shape)
        frames_T = _to_and_fro(len(pose_TK2), len(chosen.rest_BK2), rng)
        seen_TK = chosen.track.seen_BK[likeness_TB.argmax(axis=1)]
        return usual_TK2 + chosen.rest_BK2[frames_T], seen_TK


def _prepared(track: ErrorTrack) -> _Prepared:
    likeness_BB = _likeness(track.pose_BK2, track.pose_BK2)
    usual_BK2 = (likeness_BB @ track.error_BK2.reshape(len(track.error_BK2), -1)).reshape(track.error_BK2.shape)
    return _Prepared(track, usual_BK2, track.error_BK2 - usual_BK2)


def _likeness(pose_TK2: Points, pose_BK2: Points) -> Points:
    """Weights (T, B), each row's sum 1: how like each frame of a track is (Nadaraya and Watson 1964)."""
    a, b = pose_TK2.reshape(len(pose_TK2), -1), pose_BK2.reshape(len(pose_BK2), -1)
    square_TB = ((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T) / NUM_KEYPOINTS
    square_TB -= square_TB.min(axis=1, keepdims=True)
    weight_TB = np.exp(-0.5 * square_TB / LIKE_POSES**2)
    return np.asarray(weight_TB / weight_TB.sum(axis=1, keepdims=True))


def _to_and_fro(frames: int, length: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`frames` neighbouring frames of a track of `length`, from a random one on, turning at its ends."""
    period = max(1, 2 * (length - 1))
    place = (int(rng.integers(period)) + np.arange(frames)) % period
    return np.asarray(np.minimum(place, period - place) if length > 1 else np.zeros(frames, int), np.int64)
