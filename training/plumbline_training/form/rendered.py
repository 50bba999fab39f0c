"""Exercises performed by the renderer's bodies, kept in three dimensions: any camera may look at them later.

Each performance comes with the same moments without its faults, which is what the judge learns to correct towards.
T frames at the contract's rate, K keypoints, F faults, S segments, V vertices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.errors import UNREADABLE
from plumbline_contract.form import EXERCISES, FAULT_NAMES, PHASES, RATE_HZ
from plumbline_contract.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS
from plumbline_training.errors import InvalidDataset
from plumbline_training.render.body import Body, BodyModel
from plumbline_training.render.clips import LYING
from plumbline_training.render.look import sample_look
from plumbline_training.render.motion import Motion, known_motions
from plumbline_training.render.performance import Injected, Performance
from plumbline_training.render.performer import perform
from plumbline_training.render.pose import Skeleton

NAMED: Final[dict[str, str]] = {"desk_sitting": "sitting"}
"""The renderer's exercises that the coach calls otherwise."""
FAULTS_NAMED: Final[dict[tuple[str, str], str]] = {
    ("squat", "knees_in"): "knees_caving_in", ("squat", "trunk_drops_forward"): "leaning_too_far",
    ("squat", "heels_lift"): "heels_lifting", ("squat", "weight_on_one_side"): "shifting_sideways",
    ("push_up", "hips_sag"): "hips_sagging", ("push_up", "hips_high"): "hips_too_high",
    ("push_up", "head_drops"): "head_hanging", ("push_up", "elbows_flare"): "elbows_flaring",
    ("lunge", "front_knee_in"): "knee_caving_in", ("lunge", "trunk_drops_forward"): "leaning_forward",
    ("lunge", "trunk_tips_sideways"): "tipping_sideways",
    ("plank", "hips_sag"): "hips_sagging", ("plank", "hips_high"): "hips_too_high",
    ("plank", "head_drops"): "head_hanging",
    ("bicep_curl", "not_all_the_way_up"): "not_high_enough", ("bicep_curl", "trunk_swings"): "leaning_back",
    ("bicep_curl", "elbows_drift_forward"): "elbows_drifting", ("bicep_curl", "shoulders_shrug"): "shrugging",
    ("shoulder_press", "not_all_the_way_up"): "not_high_enough", ("shoulder_press", "back_arches"): "leaning_back",
    ("shoulder_press", "one_arm_lags"): "uneven_arms", ("shoulder_press", "trunk_tips_sideways"): "tipping_sideways",
    ("front_raise", "too_low"): "not_high_enough", ("front_raise", "elbows_bend"): "bent_elbows",
    ("front_raise", "trunk_swings"): "swinging",
    ("shoulder_shrug", "too_low"): "not_high_enough", ("shoulder_shrug", "elbows_bend"): "bent_arms",
    ("shoulder_shrug", "one_shoulder_lags"): "uneven_shoulders",
    ("shoulder_shrug", "chin_pokes_forward"): "chin_poking",
    ("jumping_jack", "feet_too_close"): "feet_too_narrow", ("jumping_jack", "one_arm_lags"): "uneven_arms",
    ("glute_bridge", "hips_too_low"): "not_high_enough", ("glute_bridge", "knees_fall_apart"): "knees_apart",
    ("glute_bridge", "knees_in"): "knees_together", ("glute_bridge", "one_hip_drops"): "hip_dropping",
    ("sitting", "head_forward"): "forward_head", ("sitting", "slumped_back"): "slumping",
    ("sitting", "one_shoulder_up"): "tilted_shoulders", ("sitting", "leans_sideways"): "leaning_sideways",
}  # fmt: skip
"""The contract's name of a fault that the renderer calls otherwise."""
MOST_SECONDS: Final = 30.0
"""Of a performance that goes on for longer the rest is left out."""
EVERY_VERTEX: Final = 40
"""The floor is looked for under every so many-th vertex of the skin."""


@dataclass(frozen=True)
class Performed:
    """One performance in world metres, and what is true of every frame."""

    exercise: int
    lying: bool
    points_TK3: npt.NDArray[np.float32]
    right_TK3: npt.NDArray[np.float32]
    """The same moments without the faults."""
    phase_T: npt.NDArray[np.int64]
    active_TF: npt.NDArray[np.bool_]
    keypoints_TK: npt.NDArray[np.bool_]
    """Which keypoints show an active fault."""
    strength_T: npt.NDArray[np.float32]
    """How much of the mildest form of the fault is there, 1 for all of it; 0 without one that moves joints."""


class Troupe:
    """Bodies that perform: keypoints by the renderer's own skinning, for all frames at once."""

    def __init__(self, motions: Mapping[str, Motion] | None = None) -> None:
        """Loads the body model: about a minute the first time on a machine."""
        self.model = BodyModel()
        self.motions = motions or known_motions()
        rows_VS = self.model.weights_VS[::EVERY_VERTEX]
        self._skin_VS = rows_VS / rows_VS.sum(axis=1, keepdims=True)
        self._shares_KS = self.model.regressor_KV @ self.model.weights_VS

    def perform(self, seed: int, number: int) -> Performed:
        """The performance that seed and number decide; exercises take turns."""
        rng = np.random.default_rng((seed, 7, number))
        names = list(self.motions)
        name = names[number % len(names)]
        done = perform(name, self.motions[name], rng)
        body = self.model.shape(sample_look(rng).phenotype)
        times_T = np.arange(int(min(done.seconds, MOST_SECONDS) * RATE_HZ)) / RATE_HZ
        skeleton = Skeleton(body)
        points_TK3 = self._keypoints(body, skeleton, done, times_T)
        right_TK3 = self._keypoints(body, skeleton, without_faults(done), times_T) if done.injected else points_TK3
        exercise = NAMED.get(name, name)
        return Performed(
            EXERCISES.index(exercise),
            done.motion.support in LYING,
            points_TK3,
            right_TK3,
            np.array([PHASES.index(phase) for phase in done.phases(times_T)]),
            *labels_of(exercise, done, times_T),
        )

    def _keypoints(
        self, body: Body, skeleton: Skeleton, done: Performance, times_T: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        if done.motion.hold is None and done.motion.support not in LYING:
            return self._posed(body, skeleton, done, times_T)
        # Slow movements that cost most: every other frame is taken from its neighbours.
        posed_t3 = self._posed(body, skeleton, done, times_T[::2])
        after = np.minimum(np.arange(1, len(times_T), 2) // 2 + 1, len(posed_t3) - 1)
        points_TK3 = np.repeat(posed_t3, 2, axis=0)[: len(times_T)]
        points_TK3[1::2] = (posed_t3[: len(after)] + posed_t3[after]) / 2
        return points_TK3

    def _posed(
        self, body: Body, skeleton: Skeleton, done: Performance, times_T: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        rotations_TS33, positions_TS3 = skeleton.solve(done.pose_at(skeleton, times_T))
        used = self.model.keypoint_vertices
        regressor_KV, weights_VS = self.model.regressor_KV[:, used], self.model.weights_VS[used]
        # One product of matrices: einsum over all three factors at once takes twenty times as long.
        shares_K3V = regressor_KV[:, None] * body.vertices_V3[used].T[None]
        rest_KS3 = np.asarray(shares_K3V @ weights_VS, dtype=np.float32).transpose(0, 2, 1)
        points_TK3 = _skinned(rest_KS3, self._shares_KS, body, rotations_TS33, positions_TS3)
        rest_VS3 = self._skin_VS[..., None] * body.vertices_V3[::EVERY_VERTEX, None]
        floor_T = _skinned(rest_VS3, self._skin_VS, body, rotations_TS33, positions_TS3)[..., 2].min(axis=1)
        points_TK3[..., 2] -= floor_T[:, None]
        return points_TK3


def _skinned(
    rest_XS3: npt.NDArray[np.float32],
    shares_XS: npt.NDArray[np.float32],
    body: Body,
    rotations_TS33: npt.NDArray[np.float32],
    positions_TS3: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Points (T, X, 3) from their weighted rest positions and their share of each segment (linear blend skinning)."""
    local_XS3 = rest_XS3 - shares_XS[..., None] * body.pivots_S3
    turned = np.einsum("tsij,xsj->txi", rotations_TS33, local_XS3, optimize=True)
    return np.asarray(turned + np.einsum("tsi,xs->txi", positions_TS3, shares_XS, optimize=True), dtype=np.float32)


def without_faults(done: Performance) -> Performance:
    """The same performance in correct form; a hurried repetition keeps its times."""
    full_depth = []
    for number, rep in enumerate(done.repetitions):
        shares = [each.scale for each in done.injected if each.repetition == number and each.fault.depth is not None]
        full_depth.append(replace(rep, depth=rep.depth / float(np.prod(shares))))
    return replace(done, repetitions=full_depth, injected=[])


def labels_of(
    exercise: str, done: Performance, times_T: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Of each moment: the active faults (T, F), the keypoints that show them (T, K), and how much is there (T,)."""
    active_TF = np.zeros((len(times_T), len(FAULT_NAMES)), bool)
    keypoints_TK = np.zeros((len(times_T), NUM_KEYPOINTS), bool)
    strength_T = np.zeros(len(times_T), np.float32)
    for injected in done.injected:
        name = injected.fault.name
        during_T = (times_T >= injected.onset) & (times_T <= injected.end)
        active_TF[during_T, FAULT_NAMES.index((exercise, FAULTS_NAMED.get((exercise, name), name)))] = True
        keypoints_TK |= during_T[:, None] & _shown(injected, done)
        if injected.fault.tempo is None:
            strength_T[during_T] = strength(injected)
    return active_TF, keypoints_TK, strength_T


def strength(injected: Injected) -> float:
    """How many times the mildest form of its fault this is."""
    fault = injected.fault
    left = fault.depth or fault.one_side_depth or fault.tempo
    if left is not None:
        return (1 - injected.scale) / (1 - left[0])
    amounts = next(iter(fault.add.values()))
    return injected.scale * amounts[injected.severity] / amounts[0]


def _shown(injected: Injected, done: Performance) -> npt.NDArray[np.bool_]:
    """The keypoints (K,) that show a fault, by this person's sides."""
    front, rear = ("left", "right") if done.front == "L" else ("right", "left")
    names = [name.replace("front_", f"{front}_").replace("rear_", f"{rear}_") for name in injected.fault.keypoints]
    if (injected.fault.one_side or injected.fault.one_side_depth is not None) and injected.side is not None:
        own = {"L": "left_", "R": "right_"}[injected.side]
        names = [name for name in names if name.startswith(own)] or names
    return np.isin(KEYPOINT_NAMES, names)


def save_performed(performed: list[Performed], path: Path) -> None:
    """Write performances as one npz: half floats are exact to a millimetre within two metres."""
    lengths = [len(each.phase_T) for each in performed]
    joined: dict[str, npt.NDArray[Any]] = {
        "points": np.concatenate([each.points_TK3 for each in performed]).astype(np.float16),
        "right": np.concatenate([each.right_TK3 for each in performed]).astype(np.float16),
        "phase": np.concatenate([each.phase_T for each in performed]).astype(np.int8),
        "active": np.concatenate([each.active_TF for each in performed]),
        "keypoints": np.concatenate([each.keypoints_TK for each in performed]),
        "strength": np.concatenate([each.strength_T for each in performed]),
        "exercise": np.array([each.exercise for each in performed]),
        "lying": np.array([each.lying for each in performed]),
        "frames": np.array(lengths),
    }
    with path.with_suffix(".partial").open("wb") as file:
        np.savez(file, **joined)  # type: ignore[arg-type]  # the stubs take a name for allow_pickle
    path.with_suffix(".partial").replace(path)


def load_performed(path: Path) -> list[Performed]:
    """What save_performed wrote. Raises InvalidDataset."""
    try:
        with path.open("rb") as file, np.load(file) as archive:
            data = {name: archive[name] for name in archive.files}
        ends = np.cumsum(data["frames"])
    except UNREADABLE as error:
        raise InvalidDataset(
            f"{str(path)!r} holds no performances ({error}); delete it, and it is made again"
        ) from error
    return [
        Performed(
            int(data["exercise"][number]),
            bool(data["lying"][number]),
            data["points"][end - frames : end].astype(np.float32),
            data["right"][end - frames : end].astype(np.float32),
            data["phase"][end - frames : end].astype(np.int64),
            data["active"][end - frames : end],
            data["keypoints"][end - frames : end],
            data["strength"][end - frames : end],
        )
        for number, (end, frames) in enumerate(zip(ends, data["frames"], strict=True))
    ]
