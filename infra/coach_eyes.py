"""How the evaluations of the coach see a rendered clip: exactly, with errors made up or a model's, or through it.

T frames, t frames at the judge's rate, K the 17 keypoints, 3 = x, y, score.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.form import EXERCISES, RATE_HZ
from plumbline_contract.sequence import TORSO_PERCENTILE, torso_length
from plumbline_contract.skeleton import NUM_KEYPOINTS
from plumbline_training.form.errors import SHIPPED, ErrorBank, Noise, hip_centred, load_error_tracks
from plumbline_training.form.rendered import NAMED

Keypoints = npt.NDArray[np.floating]
Eye = Callable[[Path, Mapping[str, Any], int], Keypoints]
"""A clip's json, what it says and a seed to keypoints (T, 17, 3)."""


NOISES: Final = {
    "shipped": SHIPPED,
    "white": Noise(constant=0.0, slow=0.0, slow_seconds=1.0, white=0.03),
    "none": Noise(constant=0.0, slow=0.0, slow_seconds=1.0, white=0.0),
}
"""None is what the rules could do with a perfect eye."""


def add_eye(parser: argparse.ArgumentParser) -> None:
    """The options that say how clips are seen."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--noise", choices=NOISES, default="shipped", help="made-up errors (default: shipped)")
    how.add_argument("--errors", type=Path, metavar="NPZ", help="a pose model's errors, of infra.find_keypoints")
    how.add_argument("--found", type=Path, metavar="DIR", help="NAME.npy (T, 17, 3) found in the videos")


def eye_of(arguments: argparse.Namespace) -> Eye:
    """What was asked for. Raises InvalidDataset."""
    if arguments.found is not None:
        return lambda path, clip, seed: np.asarray(np.load(found_file(path, arguments.found)), dtype=np.float64)
    if arguments.errors is not None:
        bank = ErrorBank(load_error_tracks(arguments.errors))
        return lambda path, clip, seed: keypoints_with_errors(clip, bank, seed)
    return lambda path, clip, seed: noisy_keypoints(clip, NOISES[arguments.noise], seed)


def found_file(path: Path, found: Path) -> Path:
    """Where the keypoints that were found in a clip's pixels are."""
    return found / f"{path.stem}.npy"


def clip_torso_px(truth_TK3: Keypoints) -> float:
    """How long the torso of a clip's person looks where it is not foreshortened; outside the picture is at 0."""
    return float(np.nanpercentile(torso_length(np.where(truth_TK3 > 0, truth_TK3, 0.0)), TORSO_PERCENTILE))


def noisy_keypoints(clip: Mapping[str, Any], noise: Noise, seed: int) -> Keypoints:
    """A clip's keypoints (T, 17, 3) as a model would find them; hidden ones score low, those outside nothing."""
    truth_TK3 = np.array(clip["keypoints"], dtype=np.float64)
    torso_px = clip_torso_px(truth_TK3)
    error_TK2 = noise.sample(len(truth_TK3), float(clip["fps"]), np.random.default_rng(seed))
    return np.concatenate([truth_TK3[..., :2] + torso_px * error_TK2, _scores(truth_TK3)[..., None]], axis=-1)


def keypoints_with_errors(clip: Mapping[str, Any], bank: ErrorBank, seed: int) -> Keypoints:
    """A clip's keypoints (T, 17, 3) with the errors that a pose model makes at such poses in such views."""
    truth_TK3 = np.array(clip["keypoints"], dtype=np.float64)
    torso_px, seconds_T = clip_torso_px(truth_TK3), np.arange(len(truth_TK3)) / float(clip["fps"])
    seconds_t = np.arange(0, seconds_T[-1] + 1 / RATE_HZ, 1 / RATE_HZ)
    nearest_t = np.minimum(np.rint(seconds_t * float(clip["fps"])).astype(int), len(truth_TK3) - 1)
    exercise = EXERCISES.index(NAMED.get(clip["exercise"], clip["exercise"]))
    pose_tK2 = hip_centred(truth_TK3[nearest_t, :, :2], torso_px)
    azimuth_degrees = float(clip["camera"]["azimuth_degrees"])
    error_tK2, seen_tK = bank.sample(exercise, azimuth_degrees, pose_tK2, np.random.default_rng(seed))
    error_tX = error_tK2.reshape(len(error_tK2), -1)
    error_TX = np.stack([np.interp(seconds_T, seconds_t, track_t) for track_t in error_tX.T], axis=1)
    seen_TK = seen_tK[np.rint(seconds_T * RATE_HZ).astype(int)]
    xy_TK2 = truth_TK3[..., :2] + torso_px * error_TX.reshape(-1, NUM_KEYPOINTS, 2)
    return np.concatenate([xy_TK2, np.where(seen_TK, _scores(truth_TK3), 0.0)[..., None]], axis=-1)


def _scores(truth_TK3: Keypoints) -> Keypoints:
    return np.select([truth_TK3[..., 2] == 2, truth_TK3[..., 2] == 1], [0.9, 0.5], 0.0)
