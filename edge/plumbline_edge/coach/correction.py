"""The nearest pose that breaks no rule, for this person's limbs in this view.

Gauss-Newton on the seen keypoints, in torso lengths: limbs keep their directions as far as the rules let them (which is
staying near in joint angles), keep their lengths, feet or hands stay where they are, and every rule is met. From the
side a limb keeps the length it has in the picture; in other views it may point more or less at the camera, so that it
may look shorter, but never longer than it truly is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from plumbline_contract.sequence import SHOULDERS
from plumbline_contract.skeleton import FACE, LIMBS, NUM_KEYPOINTS, Keypoint
from plumbline_edge.coach.pose import Pose, Spot, Spots

Points = npt.NDArray[np.float64]
Lengths = Mapping[tuple[Keypoint, Keypoint], float]

BODY: Final = (
    *LIMBS,
    (Keypoint.NOSE, Keypoint.LEFT_SHOULDER),
    (Keypoint.NOSE, Keypoint.RIGHT_SHOULDER),
    (Keypoint.LEFT_EAR, Keypoint.LEFT_SHOULDER),
    (Keypoint.RIGHT_EAR, Keypoint.RIGHT_SHOULDER),
)
"""What keeps its length: the limbs, and the head on its neck."""
ITERATIONS: Final = 12
ITERATIONS_FROM_GUESS: Final = 3
STAY, PLANT, LENGTH, RULE, FREE, KEEP, SHRINK = 0.02, 40.0, 30.0, 40.0, 0.3, 1.5, 0.7
"""Weights: of staying in place, of what is planted, of lengths, rules, directions at and away from the fault, and of
what looks shorter where it may."""
SHORT: Final[float] = 0.15
"""A limb that looks shorter than this many torso lengths points at the camera; where limbs may not
look shorter it is kept as it is, not only as long."""
ROUNDS: Final = 40
"""Of bringing limbs to their lengths, at most."""
LENGTH_TOLERANCE: Final[float] = 0.005
"""Limbs that are off by less than this share of their length are long enough."""
STEP: Final[float] = 1e-4
MOST_MOVE: Final[float] = 0.3
"""Torso lengths that a point moves in one iteration at most."""


@dataclass(frozen=True)
class Rule:
    """A value of the pose that must not be beyond a limit; `scale` brings it to about 1."""

    value: Callable[[Spots], float | None]
    keypoints: frozenset[Keypoint]
    comparison: Literal["above", "below"]
    limit: float
    scale: float

    def excess(self, spots: Spots) -> float:
        """How far beyond the limit, in units of the scale; negative when it is met, 0 when it can't be told."""
        value = self.value(spots)
        if value is None:
            return 0.0
        return (value - self.limit if self.comparison == "above" else self.limit - value) / self.scale


def corrected(
    pose: Pose,
    torso_px: float,
    rules: Sequence[Rule],
    lengths: Lengths,
    planted: Sequence[Keypoint],
    faulty: frozenset[Keypoint],
    from_side: bool,
    guess_K2: Points | None = None,
) -> Points | None:
    """Points (17, 2) in pixels of the nearest pose that meets the rules; None when this one does already.

    `rules` measure in torso lengths. `lengths` are the true ones in torso lengths. `guess_K2`: moves in pixels to begin
    from, such as those of a moment ago.
    """
    start_K2 = pose.keypoints_K3[:, :2] / torso_px
    if not any(rule.excess(_spots(start_K2, pose)) > 0 for rule in rules):
        return None
    problem = _Problem(pose, start_K2, rules, lengths, planted, faulty, from_side)
    points_K2 = start_K2.copy() if guess_K2 is None else start_K2 + guess_K2 / torso_px
    for _ in range(ITERATIONS if guess_K2 is None else ITERATIONS_FROM_GUESS):
        move_K2 = problem.step(points_K2)
        points_K2 += move_K2
        if np.abs(move_K2).max() < 1e-3:
            break
    _turn_face(pose, start_K2, points_K2)
    return np.where(pose.seen_K[:, None], points_K2 * torso_px, 0.0)


def with_lengths_of(pose: Pose, points_K2: Points, torso_px: float) -> Points:
    """Points (17, 2) moved until every limb is as long as in the pose, each end by half of what is missing.

    As in position-based dynamics (Mueller et al. 2007), in rounds enough for a head of its own length. The face, whose
    points are so near one another that little is much, is turned as a whole.
    """
    at, was = points_K2.tolist(), pose.keypoints_K3[:, :2].tolist()
    limbs = []
    for one, other in BODY:
        length = math.hypot(was[one][0] - was[other][0], was[one][1] - was[other][1])
        if pose.seen_K[one] and pose.seen_K[other] and length >= SHORT * torso_px:
            limbs.append((at[one], at[other], length))
    for _ in range(ROUNDS):
        worst = 0.0
        for a, b, length in limbs:
            right, down = a[0] - b[0], a[1] - b[1]
            share = 0.5 * (1 - length / max(math.hypot(right, down), 1e-6))
            worst = max(worst, abs(share))
            a[0], a[1] = a[0] - share * right, a[1] - share * down
            b[0], b[1] = b[0] + share * right, b[1] + share * down
        if worst < LENGTH_TOLERANCE / 2:
            break
    points_K2 = np.array(at)
    _turn_face(pose, pose.keypoints_K3[:, :2], points_K2)
    return points_K2


def _turn_face(pose: Pose, was_K2: Points, points_K2: Points) -> None:
    """Give the face the shape and size that it had, in place: turned and moved as a whole."""
    face = [keypoint for keypoint in FACE if pose.seen_K[keypoint]]
    points_K2[face] = _turned(was_K2[face], points_K2[face])


def _turned(points_N2: Points, near_N2: Points) -> Points:
    """The points, turned and moved as one so that they come nearest to others (Procrustes in the plane)."""
    if len(points_N2) < 2:
        return near_N2
    plane_N, wanted_N = (both_N2[:, 0] + 1j * both_N2[:, 1] for both_N2 in (points_N2, near_N2))
    turn = np.vdot(plane_N - plane_N.mean(), wanted_N - wanted_N.mean())
    turn = turn / abs(turn) if abs(turn) > 0 else 1.0
    turned_N = wanted_N.mean() + turn * (plane_N - plane_N.mean())
    return np.stack([turned_N.real, turned_N.imag], axis=-1)


def _spots(points_K2: Points, pose: Pose) -> Spots:
    return Spots(_spot_list(points_K2, pose))


def _spot_list(points_K2: Points, pose: Pose) -> list[Spot | None]:
    rows = zip(points_K2.tolist(), pose.keypoints_K3[:, 2].tolist(), pose.seen_K.tolist(), strict=True)
    return [Spot(x, y, score) if seen else None for (x, y), score, seen in rows]


def _face_rows(pose: Pose, start_K2: Points) -> Points:
    """Derivatives (rows, 2 x 17) of what is 0 while the face keeps its shape and turns as the head does on the neck.

    Its points are too near one another to be limbs. As complex numbers, each lies from the face's middle as it did at
    the start, times how the way there from the shoulders has turned and grown since: linear in all points.
    """
    face = [keypoint for keypoint in FACE if pose.seen_K[keypoint]]
    shoulders = [keypoint for keypoint in SHOULDERS if pose.seen_K[keypoint]]
    middle_K, neck_K = np.zeros(NUM_KEYPOINTS), np.zeros(NUM_KEYPOINTS)
    middle_K[face], neck_K[shoulders] = 1 / max(len(face), 1), 1 / max(len(shoulders), 1)
    plane_K = start_K2[:, 0] + 1j * start_K2[:, 1]
    neck = complex((middle_K - neck_K) @ plane_K) if shoulders else 0j
    rows = np.zeros((len(face), 2, NUM_KEYPOINTS, 2))
    for row, keypoint in zip(rows, face, strict=True):
        from_middle_K = np.eye(NUM_KEYPOINTS)[keypoint] - middle_K
        share = complex(from_middle_K @ plane_K) / neck if abs(neck) >= SHORT else 0j
        row[0, :, 0] = row[1, :, 1] = from_middle_K - share.real * (middle_K - neck_K)
        row[0, :, 1] = share.imag * (middle_K - neck_K)
        row[1, :, 0] = -share.imag * (middle_K - neck_K)
    return rows.reshape(-1, 2 * NUM_KEYPOINTS)


class _Problem:
    """Residuals and their derivatives; the unknowns are the x and y of all keypoints."""

    def __init__(
        self,
        pose: Pose,
        start_K2: Points,
        rules: Sequence[Rule],
        lengths: Lengths,
        planted: Sequence[Keypoint],
        faulty: frozenset[Keypoint],
        from_side: bool,
    ) -> None:
        self._pose, self._rules, self._start_K2 = pose, rules, start_K2
        self._active: set[Rule] = set()
        limbs = [limb for limb in BODY if pose.seen_K[list(limb)].all() and not set(limb) <= set(FACE)]
        self._one, self._other = (np.array([limb[end] for limb in limbs], dtype=np.intp) for end in (0, 1))
        self._vectors_L2 = start_K2[self._one] - start_K2[self._other]
        self._lengths_L = np.hypot(self._vectors_L2[:, 0], self._vectors_L2[:, 1])
        known_L = np.array([lengths.get(limb, 0.0) for limb in limbs])
        self._longest_L = self._lengths_L if from_side else np.maximum(self._lengths_L, known_L)
        rigid_L = np.array([from_side or limb[0] in FACE for limb in limbs])
        self._shrink_L = np.where(rigid_L, LENGTH, SHRINK)
        short_L = rigid_L & (self._lengths_L < SHORT)
        self._stretch_L = np.where(short_L, 0.0, LENGTH)
        self._shrink_L[short_L] = 0.0
        self._turn_L = np.array([FREE if faulty & set(limb) else KEEP for limb in limbs])
        self._turn_L[short_L] = LENGTH
        stay_K = np.full(NUM_KEYPOINTS, STAY)
        stay_K[[keypoint for keypoint in planted if pose.seen_K[keypoint]]] = PLANT
        self._incidence_L = np.arange(len(limbs))
        ends_LK = np.zeros((len(limbs), NUM_KEYPOINTS))
        ends_LK[self._incidence_L, self._one], ends_LK[self._incidence_L, self._other] = 1.0, -1.0
        square_KK = ends_LK.T @ (self._turn_L[:, None] ** 2 * ends_LK) + np.diag(stay_K**2)
        face = LENGTH * _face_rows(pose, start_K2)
        self._constant = np.kron(square_KK, np.eye(2)) + face.T @ face
        """J'J of what is linear: staying in place, keeping directions, a face that keeps its shape."""

    def step(self, points_K2: Points) -> Points:
        """The Gauss-Newton move from these points, shortened where it is too bold."""
        square = self._constant + 1e-6 * np.eye(2 * NUM_KEYPOINTS)
        downhill_K2 = -(self._constant @ (points_K2 - self._start_K2).reshape(-1)).reshape(-1, 2)
        for rows, residuals in (self._length_rows(points_K2), self._rule_rows(points_K2)):
            square += rows.T @ rows
            downhill_K2 -= (rows.T @ residuals).reshape(-1, 2)
        move_K2 = np.linalg.solve(square, downhill_K2.reshape(-1)).reshape(-1, 2)
        return np.asarray(move_K2 * min(1.0, MOST_MOVE / max(float(np.abs(move_K2).max()), 1e-9)))

    def _length_rows(self, points_K2: Points) -> tuple[Points, Points]:
        vectors_L2 = points_K2[self._one] - points_K2[self._other]
        now_L = np.maximum(np.hypot(vectors_L2[:, 0], vectors_L2[:, 1]), 1e-6)
        wanted_L = np.clip(now_L, self._lengths_L, self._longest_L)
        weight_L = np.where(now_L >= self._lengths_L, self._stretch_L, self._shrink_L)
        rows_LK2 = np.zeros((len(now_L), NUM_KEYPOINTS, 2))
        slope_L2 = np.where(now_L != wanted_L, weight_L, 0.0)[:, None] * vectors_L2 / now_L[:, None]
        rows_LK2[self._incidence_L, self._one] = slope_L2
        rows_LK2[self._incidence_L, self._other] = -slope_L2
        return rows_LK2.reshape(len(now_L), -1), weight_L * (now_L - wanted_L)

    def _rule_rows(self, points_K2: Points) -> tuple[Points, Points]:
        """The nearest pose lies on the limits that it had to be brought to: a rule once broken is kept as an equality,
        for a hinge would let go of it, fall back, and so on without end.
        """
        rows, residuals = [], []
        spots = _spots(points_K2, self._pose)
        for rule in self._rules:
            excess = rule.excess(spots)
            if excess > 0:
                self._active.add(rule)
            if rule in self._active:
                rows.append(RULE * self._slope(rule, points_K2, excess))
                residuals.append(RULE * excess)
        return np.array(rows).reshape(-1, 2 * NUM_KEYPOINTS), np.array(residuals)

    def _slope(self, rule: Rule, points_K2: Points, excess: float) -> Points:
        slope_K2 = np.zeros((NUM_KEYPOINTS, 2))
        spots = _spot_list(points_K2, self._pose)
        for keypoint in rule.keypoints:
            spot = spots[keypoint]
            if spot is None:
                continue
            for axis, moved in enumerate((spot._replace(x=spot.x + STEP), spot._replace(y=spot.y + STEP))):
                spots[keypoint] = moved
                slope_K2[keypoint, axis] = (rule.excess(Spots(spots)) - excess) / STEP
            spots[keypoint] = spot
        return slope_K2.reshape(-1)
