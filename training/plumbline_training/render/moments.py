"""Random moments: of exercise motions, of standing around, and of real people's poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from plumbline_training.render.lift import PosePrior
from plumbline_training.render.motion import Motion, Style
from plumbline_training.render.motions import HAND_PLACES, arm, hinge_pose, place_arms, standing
from plumbline_training.render.performer import perform
from plumbline_training.render.person import Person, PropMaker, Wardrobe
from plumbline_training.render.pose import SIDES, Limb, Pose, Side, Skeleton, pitch, roll, rotation, yaw
from plumbline_training.render.props import Mesh, Placed, barbell, desk, dumbbells

PRIOR_SHARE: Final = 0.35
"""Of the pictures, when there is a file of real poses."""
AROUND_SHARE: Final = 0.15
PLANTED: Final = frozenset({"hands_and_toes", "forearms_and_toes", "shoulders_and_feet", "split", "seat"})


@dataclass(frozen=True)
class Moment:
    """A posed person and what they do; a lifted pose is plausible only from about the front."""

    person: Person
    exercise: str
    faces_camera: bool = False


def sample_moment(
    rng: np.random.Generator, wardrobe: Wardrobe, motions: Mapping[str, Motion], prior: PosePrior | None
) -> Moment:
    """Somebody doing something."""
    kind = rng.random()
    if prior is not None and kind < PRIOR_SHARE:
        return Moment(wardrobe.pose(prior.sample(rng, wardrobe.skeleton)), "real_pose", True)
    if kind > 1 - AROUND_SHARE:
        name = list(AROUND)[int(rng.integers(len(AROUND)))]
        pose = loosened(AROUND[name](rng, wardrobe.skeleton), rng, float(rng.uniform(1, 6)))
        return Moment(wardrobe.pose(pose), name)
    names = list(motions)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    return exercise_moment(rng, wardrobe, names[int(rng.choice(len(names), p=weights / weights.sum()))], motions)


def exercise_moment(rng: np.random.Generator, wardrobe: Wardrobe, name: str, motions: Mapping[str, Motion]) -> Moment:
    """One moment of a performance of an exercise, limbs a little looser than the motion has them."""
    performance = perform(name, motions[name], rng, (1, 3))
    pose = performance.pose_at(wardrobe.skeleton, np.array([rng.uniform(0, performance.seconds)]))
    rotations, positions = wardrobe.skeleton.solve(pose)
    loose = 0.0 if performance.motion.support in PLANTED else float(rng.uniform(0, 4))
    if loose:
        rotations, positions = wardrobe.skeleton.solve(loosened(pose, rng, loose))
    person = wardrobe.placed(rotations[0], positions[0], props=prop_maker(performance.style, int(rng.integers(2**31))))
    return Moment(person, name)


def prop_maker(style: Style, seed: int) -> PropMaker | None:
    """What makes the things of a style for each frame; the same seed makes the same things."""
    makers: dict[str, Callable[[Placed, np.random.Generator], list[Mesh]]] = {
        "dumbbells": dumbbells,
        "barbell": barbell,
        "desk": desk,
    }
    if style.props is None:
        return None
    make = makers[style.props]
    return lambda placed: make(placed, np.random.default_rng(seed))


def sample_standing(rng: np.random.Generator, skeleton: Skeleton) -> Pose:
    """Standing around: hands anywhere."""
    pose = standing(skeleton, float(rng.normal(2, 4)), float(rng.uniform(0, 25)), float(rng.uniform(0.1, 0.45)))
    place_arms(skeleton, pose, str(rng.choice(["hang", "hang", *HAND_PLACES])))
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


AROUND: Final[dict[str, Callable[[np.random.Generator, Skeleton], Pose]]] = {
    "standing": sample_standing,
    "hinge": sample_hinge,
    "stride": sample_stride,
}
"""What people do beside the exercises."""
WEIGHTS: Final = {"squat": 2.5, "push_up": 1.5, "desk_sitting": 1.5, "plank": 1.2}
"""How often an exercise is shown, beside 1 for every other."""


def loosened(pose: Pose, rng: np.random.Generator, degrees: float) -> Pose:
    """The pose with every limb and the trunk a little off; planted legs stay where they are."""
    chest = roll(float(rng.normal(0, degrees))) @ yaw(float(rng.normal(0, degrees))) @ pose.chest
    look = yaw(float(rng.normal(0, 16))) @ pitch(float(rng.normal(0, 9))) @ roll(float(rng.normal(0, 5)))
    arms = {}
    for side, limb in pose.arms.items():
        turn = rotation(rng.normal(size=3), float(rng.normal(0, degrees * 2)))
        bend = rotation(limb.hinge, float(rng.normal(0, degrees)))
        lower = (turn @ bend @ limb.lower[..., None])[..., 0]
        arms[side] = Limb(
            (turn @ limb.upper[..., None])[..., 0], lower, (turn @ limb.hinge[..., None])[..., 0], limb.end
        )
    return Pose(
        pose.pelvis,
        chest,
        pose.head @ look,
        arms,
        pose.legs,
        pose.position,
        pose.head_forward_degrees,
        pose.shrug_degrees,
        pose.rounded_degrees,
    )
