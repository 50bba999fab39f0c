"""Windows to learn from: performances seen by made-up cameras with the pose model's errors, and recorded sequences.

T frames, K keypoints, N windows, F faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.form import LAG_FRAMES, OFFSET_UNIT, RATE_HZ, form_windows
from plumbline_contract.sequence import TORSO_PERCENTILE, torso_length
from plumbline_contract.skeleton import MIRROR, NUM_KEYPOINTS
from plumbline_training.form.errors import SHIPPED, ErrorBank, hip_centred
from plumbline_training.form.rendered import Performed
from plumbline_training.render.camera import Camera
from plumbline_training.render.clips import Aim, sample_aim

Keypoints = npt.NDArray[np.float64]

HELD_OUT_DEGREES: Final = (40.0, 50.0)
"""How far from straight ahead no camera stands in training, so that an evaluation may ask about new views."""
BANK_SHARE: Final = 0.75
"""Of all looks, those with errors as in pictures, where these are given; the others have made-up ones."""
BESIDES: Final = 0.4
"""How much of the made-up errors comes on top of those: no two persons' are the same, and the tracks are few."""
WINDOWS_A_CLIP: Final = 8


@dataclass
class Batch:
    """Windows with all that is true of the moment that is asked about."""

    windows_NWC: npt.NDArray[np.float32]
    exercise_N: npt.NDArray[np.int64]
    phase_N: npt.NDArray[np.int64]
    wrong_N: npt.NDArray[np.float32]
    faults_NF: npt.NDArray[np.float32]
    keypoints_NK: npt.NDArray[np.float32]
    offsets_NK2: npt.NDArray[np.float32]
    """In OFFSET_UNIT torso lengths."""
    correctable_N: npt.NDArray[np.float32]
    """1 where offsets are known."""
    fault_px_NK2: npt.NDArray[np.float32]
    """Where the keypoints are, from where they would be without the fault, in torso lengths, free of noise."""
    strength_N: npt.NDArray[np.float32]

    @staticmethod
    def joined(parts: Sequence[Batch]) -> Batch:
        """One after another."""
        return Batch(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Batch)))

    def rows(self, which: npt.NDArray[np.int64]) -> Batch:
        """Some of the windows."""
        return Batch(*(getattr(self, each.name)[which] for each in fields(Batch)))


def noise(frames: int, rng: np.random.Generator, share: float = 1.0) -> Keypoints:
    """The shipped pose model's errors, made up, at the judge's rate (T, K, 2), more or fewer of them."""
    return share * SHIPPED.sample(frames, RATE_HZ, rng)


def dropped_out(frames: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which keypoints (T, K) were not seen: some never, some for a while, some for a frame."""
    lost_TK = rng.random((frames, NUM_KEYPOINTS)) < rng.choice([0.0, 0.02, 0.1], p=[0.6, 0.3, 0.1])
    lost_TK |= rng.random(NUM_KEYPOINTS) < rng.choice([0.0, 0.03, 0.12], p=[0.6, 0.3, 0.1])
    for _ in range(rng.integers(0, 3)):
        start, length = int(rng.integers(frames)), int(rng.integers(3, 20))
        lost_TK[start : start + length, rng.integers(NUM_KEYPOINTS)] = True
    return np.asarray(lost_TK)


def is_held_out_view(azimuth_degrees: float) -> bool:
    """Whether the camera stands where none does in training."""
    off = abs((azimuth_degrees + 180) % 360 - 180)
    return HELD_OUT_DEGREES[0] <= min(off, 180 - off) <= HELD_OUT_DEGREES[1]


def aim_at(performed: Performed, rng: np.random.Generator, held_out: bool | None) -> Aim:
    """A camera; `held_out` asks for one of the views that training leaves out, or (False) for none of them."""
    step = max(1, len(performed.points_TK3) // 40)
    points_N3 = performed.points_TK3[::step].reshape(-1, 3)
    while True:
        aim = sample_aim(rng, points_N3, performed.lying)
        if held_out is None or is_held_out_view(aim.azimuth_degrees) == held_out:
            return aim


def seen_by(camera: Camera, points_TK3: npt.NDArray[np.float32]) -> Keypoints:
    """Keypoints (T, K, 3) in pixels; those outside the picture score nothing."""
    pixels = camera.project(points_TK3.reshape(-1, 3)).reshape(points_TK3.shape).astype(np.float64)
    inside_TK = (pixels[..., 0] >= 0) & (pixels[..., 0] < camera.width) & (pixels[..., 1] >= 0)
    inside_TK &= (pixels[..., 1] < camera.height) & (pixels[..., 2] > 0.05)
    return np.concatenate([pixels[..., :2], np.where(inside_TK, 0.9, 0.0)[..., None]], axis=-1)


@dataclass(frozen=True)
class Filmed:
    """A performance as the pose model would see it: what is found, and without noise with and without its faults."""

    found_TK3: Keypoints
    true_TK2: Keypoints
    right_TK2: Keypoints
    torso_px: float
    azimuth_degrees: float


def film(
    performed: Performed,
    rng: np.random.Generator,
    held_out: bool | None = False,
    augmented: bool = True,
    bank: ErrorBank | None = None,
) -> Filmed:
    """Look at a performance, with the shipped model's errors: made-up ones, or a bank's.

    `augmented`, there are more or fewer of them, keypoints are lost, and a bank's are not in every look.
    """
    aim = aim_at(performed, rng, held_out)
    true_TK3 = seen_by(aim.camera, performed.points_TK3)
    right_TK2 = seen_by(aim.camera, performed.right_TK3)[..., :2]
    known_TK3 = np.concatenate([true_TK3[..., :2], np.ones_like(true_TK3[..., 2:])], axis=-1)
    torso_px = float(np.percentile(torso_length(known_TK3), TORSO_PERCENTILE))
    found_TK3 = true_TK3.copy()
    share = float(rng.uniform(0.4, 1.3)) if augmented else 1.0
    if bank is not None and (not augmented or rng.random() < BANK_SHARE):
        pose_TK2 = hip_centred(true_TK3[..., :2], torso_px)
        error_TK2, seen_TK = bank.sample(performed.exercise, aim.azimuth_degrees, pose_TK2, rng)
        found_TK3[~seen_TK, 2] = 0.0
        error_TK2 = share * error_TK2 + (noise(len(true_TK3), rng, BESIDES * share) if augmented else 0.0)
    else:
        error_TK2 = noise(len(true_TK3), rng, share)
    found_TK3[..., :2] += torso_px * error_TK2
    if augmented:
        found_TK3[dropped_out(len(true_TK3), rng), 2] = 0.0
    return Filmed(found_TK3, true_TK3[..., :2], right_TK2, torso_px, aim.azimuth_degrees)


def windows_of(performed: Performed, filmed: Filmed, moments: npt.NDArray[np.int64]) -> Batch:
    """What is asked and true at each of these frames."""
    ends = np.minimum(moments + LAG_FRAMES, len(performed.phase_T) - 1)
    moments = ends - LAG_FRAMES
    active_NF = performed.active_TF[moments]
    away_NK2 = (filmed.true_TK2 - filmed.right_TK2)[moments] / filmed.torso_px
    wrong_N = active_NF.any(axis=1)
    still_N = np.abs(away_NK2).max(axis=(1, 2)) < 0.02
    moved_N = performed.strength_T[moments] > 0
    return Batch(
        form_windows(filmed.found_TK3, ends.tolist()),
        np.full(len(ends), performed.exercise),
        performed.phase_T[moments],
        np.asarray(wrong_N, dtype=np.float32),
        active_NF.astype(np.float32),
        performed.keypoints_TK[moments].astype(np.float32),
        (-away_NK2 / OFFSET_UNIT).astype(np.float32),
        (moved_N | (still_N & ~wrong_N)).astype(np.float32),
        away_NK2.astype(np.float32),
        performed.strength_T[moments],
    )


def moments_of(performed: Performed, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Moments to ask about: half of them while something is wrong, where anything is."""
    latest = len(performed.phase_T) - LAG_FRAMES
    wrong = np.flatnonzero(performed.active_TF[:latest].any(axis=1))
    moments = rng.integers(0, latest, count)
    if len(wrong):
        moments[: count // 2] = rng.choice(wrong, count // 2)
    return moments


def rendered_batch(
    performed: Sequence[Performed],
    rng: np.random.Generator,
    count: int = WINDOWS_A_CLIP,
    bank: ErrorBank | None = None,
) -> Batch:
    """`count` windows of each performance, each performance before a camera of its own."""
    parts = [windows_of(each, film(each, rng, bank=bank), moments_of(each, count, rng)) for each in performed]
    batch = Batch.joined(parts)
    return mirrored(batch, rng.random(len(batch.exercise_N)) < 0.5)


def mirrored(batch: Batch, which_N: npt.NDArray[np.bool_]) -> Batch:
    """Some windows as in a looking-glass: left and right exchanged. Names of faults know no side."""
    order, flip = list(MIRROR), np.array([-1, 1], np.float32)
    windows_NWKX = batch.windows_NWC.reshape(*batch.windows_NWC.shape[:2], NUM_KEYPOINTS, -1).copy()
    windows_NWKX[which_N] = windows_NWKX[which_N][:, :, order] * np.array([-1, 1, -1, 1, 1], np.float32)
    keypoints_NK, offsets_NK2 = batch.keypoints_NK.copy(), batch.offsets_NK2.copy()
    fault_px_NK2 = batch.fault_px_NK2.copy()
    keypoints_NK[which_N] = keypoints_NK[which_N][:, order]
    for points_NK2 in (offsets_NK2, fault_px_NK2):
        points_NK2[which_N] = points_NK2[which_N][:, order] * flip
    return replace(
        batch,
        windows_NWC=windows_NWKX.reshape(batch.windows_NWC.shape),
        keypoints_NK=keypoints_NK,
        offsets_NK2=offsets_NK2,
        fault_px_NK2=fault_px_NK2,
    )
