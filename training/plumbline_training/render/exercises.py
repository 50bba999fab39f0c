"""Random moments of exercise: each exercise draws depths, widths, faults and asymmetry, and poses one body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from plumbline_training.render.motions import (
    HAND_PLACES,
    Squat,
    arm,
    hanging_arm,
    hinge_pose,
    jumping_jack,
    lateral_arm,
    lunge,
    place_arms,
    plank,
    push_up,
    seated,
    squat,
    standing,
)
from plumbline_training.render.pose import SIDES, Limb, Pose, Side, Skeleton, pitch, roll, rotation, yaw

Sampler = Callable[[np.random.Generator, Skeleton], Pose]


def sample_squat(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Any depth; a third of them with knees caving in, a trunk that leans too far, or both sides uneven."""
    depth = float(rng.choice([rng.uniform(5, 115), rng.normal(90, 12)]))
    fault = rng.random()
    shin = depth * float(rng.uniform(0.05, 0.2) if fault < 0.15 else rng.uniform(0.32, 0.46))
    return squat(
        skeleton,
        Squat(
            thigh_degrees=max(3.0, depth),
            shin_degrees=min(shin, 42.0),
            width=float(rng.uniform(0.22, 0.6)),
            toe_out=float(rng.uniform(0, 35)),
            knees_in=float(rng.uniform(15, 60)) if 0.15 < fault < 0.35 else float(rng.uniform(-8, 6)),
            twist=float(rng.normal(0, 3)),
            arms=str(rng.choice(["forward", "forward", "hang", "overhead", *HAND_PLACES])),
            arm_degrees=float(rng.uniform(60, 110)),
        ),
    )


def sample_lunge(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Split stances at any depth, with hands on the hips, hanging or elsewhere."""
    pose = lunge(
        skeleton,
        float(rng.uniform(0, 1)),
        float(rng.uniform(0.45, 1.0)),
        SIDES[int(rng.integers(2))],
        float(rng.uniform(-5, 30)),
        float(rng.choice([rng.uniform(-10, 10), rng.uniform(10, 45)])),
        float(rng.uniform(0.08, 0.3)),
    )
    place_arms(skeleton, pose, str(rng.choice(["hang", "hips", "goblet", "head", "overhead", "forward"])))
    return pose


def sample_push_up(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Any depth, hips sagging or high in a part of them."""
    sag = float(rng.choice([rng.normal(0, 5), rng.uniform(-45, 40)]))
    return push_up(skeleton, float(rng.uniform(0, 1)), sag, float(rng.uniform(0.35, 0.8)), float(rng.uniform(10, 80)))


def sample_plank(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """On the forearms, hips sagging or high in a part of them."""
    return plank(skeleton, float(rng.choice([rng.normal(0, 5), rng.uniform(-50, 40)])))


def sample_curl(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Biceps curls of both arms or one, upper arms drifting, the trunk swaying."""
    pose = standing(skeleton, lean=float(rng.normal(-2, 6)), width=float(rng.uniform(0.15, 0.4)))
    for side in SIDES:
        flexion = float(rng.uniform(5, 145)) if side == "L" or rng.random() < 0.6 else 10.0
        out, raised = float(rng.uniform(-5, 15)), float(rng.normal(8, 14))
        pose.arms[side] = arm(side, pose.chest, raised, out, flexion, float(rng.normal(0, 15)))
    return pose


def sample_raise(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Arms raised to the front, sideways or overhead, both alike or not: raises, presses, stretches."""
    pose = standing(skeleton, lean=float(rng.normal(0, 5)), width=float(rng.uniform(0.12, 0.5)))
    kind, level, flexion = rng.random(), float(rng.uniform(20, 175)), float(rng.uniform(0, 130))
    for side in SIDES:
        uneven = float(rng.normal(0, 6))
        if kind < 0.4:
            pose.arms[side] = arm(side, pose.chest, level + uneven, float(rng.normal(8, 8)), 12)
        elif kind < 0.7:
            pose.arms[side] = lateral_arm(side, pose.chest, level + uneven, 10)
        else:
            pose.arms[side] = lateral_arm(side, pose.chest, 40 + level * 0.75 + uneven, flexion)
    return pose


def sample_jack(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Anywhere between closed and open."""
    return jumping_jack(skeleton, float(rng.uniform(0, 1)))


def sample_standing(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Standing around: hands anywhere."""
    pose = standing(skeleton, float(rng.normal(2, 4)), float(rng.uniform(0, 25)), float(rng.uniform(0.1, 0.45)))
    place_arms(skeleton, pose, str(rng.choice(["hang", "hang", *HAND_PLACES])))
    return pose


def sample_seated(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """On a chair, upright to slumped."""
    pose = seated(
        skeleton,
        float(rng.uniform(0.38, 0.55)),
        float(rng.normal(3, 12)),
        float(rng.uniform(70, 110)),
        float(rng.uniform(0, 25)),
        float(rng.uniform(-5, 45)),
    )
    for side in SIDES:
        raised, flexion = float(rng.uniform(0, 75)), float(rng.uniform(20, 120))
        pose.arms[side] = arm(side, pose.chest, raised, float(rng.normal(0, 15)), flexion, float(rng.normal(-10, 25)))
    return pose


def sample_hinge(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Deadlifts and rows: leaning from the hips, arms hanging or pulled."""
    pose = hinge_pose(skeleton, float(rng.uniform(10, 85)), float(rng.uniform(5, 50)))
    if rng.random() < 0.4:
        for side in SIDES:
            pose.arms[side] = arm(side, pose.chest, float(rng.uniform(-40, 60)), 10, float(rng.uniform(30, 110)))
    return pose


def sample_stride(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """One knee up, as in marching, running or standing on one leg; arms swing."""
    pose = standing(skeleton, float(rng.normal(5, 6)), width=0.15)
    side: Side = SIDES[int(rng.integers(2))]
    hinge = np.array([1.0, 0.0, 0.0])
    flex, knee = float(rng.uniform(10, 110)), float(rng.uniform(5, 120))
    upper = pitch(-flex) @ np.array([0.0, 0.0, -1.0])
    pose.legs[side] = Limb(upper, rotation(hinge, knee) @ upper, hinge, rotation(hinge, knee - flex - 10))
    for arm_side in SIDES:
        swing = float(rng.normal(25 if arm_side != side else -25, 25))
        pose.arms[arm_side] = arm(arm_side, pose.chest, swing, 5, float(rng.uniform(10, 110)))
    return pose


EXERCISES: Final[dict[str, tuple[float, Sampler]]] = {
    "squat": (0.34, sample_squat),
    "lunge": (0.10, sample_lunge),
    "push_up": (0.08, sample_push_up),
    "plank": (0.05, sample_plank),
    "curl": (0.07, sample_curl),
    "raise": (0.09, sample_raise),
    "jumping_jack": (0.05, sample_jack),
    "standing": (0.09, sample_standing),
    "seated": (0.05, sample_seated),
    "hinge": (0.04, sample_hinge),
    "stride": (0.04, sample_stride),
}
"""Exercise -> (share of the pictures, sampler)."""


def loosened(pose: Pose, rng: np.random.Generator, degrees: float) -> Pose:
    """The pose with every limb and the trunk a little off; planted legs stay where they are."""
    chest = roll(float(rng.normal(0, degrees))) @ yaw(float(rng.normal(0, degrees))) @ pose.chest
    look = yaw(float(rng.normal(0, 16))) @ pitch(float(rng.normal(0, 9))) @ roll(float(rng.normal(0, 5)))
    arms = {}
    for side, limb in pose.arms.items():
        turn = rotation(rng.normal(size=3), float(rng.normal(0, degrees * 2)))
        bend = rotation(limb.hinge, float(rng.normal(0, degrees)))
        arms[side] = Limb(turn @ limb.upper, turn @ bend @ limb.lower, turn @ limb.hinge, limb.end)
    return Pose(pose.pelvis, chest, pose.head @ look, arms, pose.legs, pose.position)


def sample_pose(rng: np.random.Generator, skeleton: Skeleton) -> tuple[str, Pose]:
    """The name of an exercise and one moment of it."""
    names = list(EXERCISES)
    shares = np.array([EXERCISES[name][0] for name in names])
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    pose = EXERCISES[name][1](rng, skeleton)
    planted = name in ("push_up", "plank")
    if not planted and rng.random() < 0.1:
        for side in SIDES:
            pose.arms[side] = hanging_arm(side, pose.chest, float(rng.uniform(0, 160)), float(rng.uniform(0, 140)))
    return name, loosened(pose, rng, 1.0 if planted else float(rng.uniform(1, 6)))
