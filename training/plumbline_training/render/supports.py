"""From joint angles to a pose: what the body stands, lies or sits on decides where it is; planted hands and feet stay.

Every joint is one number or one for each of T moments. Angles in degrees, lengths in metres; axes as in body.py. A
joint that a body has twice is named with its side, `elbow.L`; see JOINTS for what each means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.motions import DOWN, FORWARD, HAND_PLACES, centre_of_mass, plant_leg, straight_leg
from plumbline_training.render.pose import (
    SIDES,
    Limb,
    Number,
    Pose,
    Rotation,
    Side,
    Skeleton,
    Vector,
    apply,
    cross,
    hand_towards,
    pitch,
    reach,
    roll,
    rotation,
    sign,
    unit,
    yaw,
)

Joints = Mapping[str, Number]

JOINTS: Final[dict[str, str]] = {
    "lean": "the trunk tips forward, from upright (or from balance)",
    "tilt": "the trunk tips to the person's left, from the hips",
    "turn": "the whole person turns to their left",
    "bend": "the spine rounds forward, the chest against the pelvis",
    "side_bend": "the spine bends to the left",
    "twist": "the chest turns to the left against the pelvis",
    "neck": "the head nods forward",
    "head_turn": "the head turns to the left",
    "head_tilt": "the head tips to the left shoulder",
    "head_forward": "the neck tips forward under a level head: the chin pokes out",
    "rounded": "both collarbones turn forward",
    "shift": "metres that the hips move to the left over planted feet",
    "stance": "metres between the ankles",
    "heel": "heels lifted, the weight on the toes (the rear heel in a lunge)",
    "stride": "metres from the front to the rear ankle",
    "hands": "metres between planted hands",
    "sag": "hips dropped below the line from shoulders to ankles; negative is piked",
    "bridge": "the trunk's slope, hips lifted, lying on the back",
    "foot_distance": "from the hips to the ankles lying on the back, in thigh lengths",
    "seat": "metres from the floor to the seat",
}
SIDED: Final[dict[str, str]] = {
    "raise": "upper arm lifted to the front, from hanging",
    "away": "upper arm lifted to the side, from hanging",
    "out": "a raised upper arm swung outward",
    "arm_turn": "upper arm turned about itself; -90 points a bent forearm up when the arm is out to the side",
    "elbow": "elbow flexion, 0 straight",
    "shrug": "collarbone lifted",
    "flare": "planted hands: how far the elbow points away from the trunk",
    "thigh": "thigh from vertical, to the front; 90 is level (the front leg in a lunge)",
    "shin": "shin's tilt, knee ahead of the ankle",
    "knees_in": "the knee's direction turned inward from the toes",
    "toe_out": "toes turned outward",
    "knee": "knee flexion on a seat, 90 is square",
}
"""Joints that a body has twice; a bare name sets both."""
DEFAULTS: Final[dict[str, float]] = {
    "thigh": 3.0,
    "shin": 1.0,
    "toe_out": 8.0,
    "stance": 0.28,
    "stride": 0.8,
    "hands": 0.55,
    "flare": 45.0,
    "foot_distance": 1.0,
    "seat": 0.45,
    "knee": 90.0,
}
"""What a joint is that nothing sets; 0 for the others."""


def of(joints: Joints, name: str, side: Side | None = None) -> Number:
    """The joint's value; without a side the mean of both of a sided joint."""
    if name in SIDED and side is None:
        return (of(joints, name, "L") + of(joints, name, "R")) / 2
    return joints.get(name if side is None else f"{name}.{side}", DEFAULTS.get(name, 0.0))


def trunk(joints: Joints, lean: Number) -> tuple[Rotation, Rotation, Rotation]:
    """World rotations of pelvis, chest and head of somebody upright."""
    tilt, turn = of(joints, "tilt"), yaw(of(joints, "turn"))
    bend = of(joints, "bend")
    pelvis = turn @ roll(tilt) @ pitch(0.9 * lean - 0.3 * bend)
    chest = turn @ yaw(of(joints, "twist")) @ roll(tilt + of(joints, "side_bend")) @ pitch(lean + bend)
    gaze = yaw(0.5 * of(joints, "twist") + of(joints, "head_turn")) @ roll(0.4 * tilt + of(joints, "head_tilt"))
    return pelvis, chest, turn @ gaze @ pitch(0.35 * lean + 0.4 * bend + of(joints, "neck"))


def free_arm(side: Side, base: Rotation, joints: Joints) -> Limb:
    """An arm that holds on to nothing, in the frame `base`."""
    swing = roll(-sign(side) * of(joints, "away", side)) @ yaw(sign(side) * of(joints, "out", side))
    upper = apply(base @ swing @ pitch(-of(joints, "raise", side)), DOWN)
    turned = rotation(upper, sign(side) * of(joints, "arm_turn", side))
    hinge = apply(turned, apply(base @ swing, (-1.0, 0.0, 0.0)))
    return Limb(upper, apply(rotation(hinge, of(joints, "elbow", side)), upper), hinge)


def place_hands(skeleton: Skeleton, pose: Pose, place: str) -> None:
    """Both hands at a key of HAND_PLACES."""
    _, positions = skeleton.solve(pose)
    shoulder = {side: positions[..., SEGMENT_INDEX[f"upper_arm.{side}"], :].astype(np.float64) for side in SIDES}
    middle = (shoulder["L"] + shoulder["R"]) / 2
    scale = (skeleton.lengths.upper_arm + skeleton.lengths.forearm) / 0.52
    for side in SIDES:
        where, towards = (vector * (sign(side), 1, 1) for vector in HAND_PLACES[place])
        pole = apply(pose.chest, unit(towards))
        pose.arms[side] = arm_reaching(skeleton, shoulder[side], middle + apply(pose.chest, where) * scale, pole)


def arm_reaching(skeleton: Skeleton, shoulder: Vector, target: Vector, pole: Vector) -> Limb:
    """An arm from a posed shoulder to a wrist's place, the elbow pointing to `pole`."""
    upper, lower = reach(shoulder, target, skeleton.lengths.upper_arm, skeleton.lengths.forearm, pole)
    return Limb(upper, lower, unit(cross(pole, unit(target - shoulder))))


def _column(*values: Number) -> Vector:
    return np.stack(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)), axis=-1)


def _hips_at(skeleton: Skeleton, pelvis: Rotation, place: Vector) -> Vector:
    """The pose's position that brings the middle of the hip joints to a place."""
    hips = (skeleton.rest("thigh.L") + skeleton.rest("thigh.R")) / 2
    root = skeleton.rest("pelvis")
    return np.asarray(place - apply(pelvis, hips - root) - root)


def feet(skeleton: Skeleton, joints: Joints, balance: bool = False, hands: str | None = None) -> Pose:
    """Standing on both feet. With `balance`, the trunk leans so that the weight is over the feet, plus `lean`."""
    lean = of(joints, "lean")
    if not balance:
        return _feet(skeleton, joints, lean, hands)
    low, high = np.zeros_like(lean), np.full_like(lean, 65.0)
    for _ in range(9):
        middle = (low + high) / 2
        behind = centre_of_mass(skeleton, _feet(skeleton, joints, middle, hands))[..., 1] > -0.035
        low, high = np.where(behind, middle, low), np.where(behind, high, middle)
    return _feet(skeleton, joints, (low + high) / 2 + lean, hands)


def _feet(skeleton: Skeleton, joints: Joints, lean: Number, hands: str | None) -> Pose:
    size = skeleton.lengths
    phi, alpha = np.radians(of(joints, "thigh")), np.radians(of(joints, "shin"))
    heel, shift = of(joints, "heel"), of(joints, "shift")
    lifted = size.ankle_height + 0.14 * np.sin(np.radians(heel))
    back = size.thigh * np.sin(phi) - size.shin * np.sin(alpha)
    up = size.thigh * np.cos(phi) + size.shin * np.cos(alpha) + lifted
    pelvis, chest, head = trunk(joints, lean)
    arms = {side: free_arm(side, chest, joints) for side in SIDES}
    pose = Pose(pelvis, chest, head, arms, {}, _hips_at(skeleton, pelvis, _column(shift, back, up)))
    for side in SIDES:
        out = of(joints, "toe_out", side)
        ankle = _column(sign(side) * of(joints, "stance") / 2, 0.0, lifted)
        pole = apply(yaw(sign(side) * (out - of(joints, "knees_in", side))), FORWARD)
        foot = yaw(sign(side) * out) @ pitch(heel)
        pose.legs[side] = plant_leg(skeleton, pose, side, ankle, pole, foot)
        pose.legs[side].toe_bend_degrees = heel
    return _finished(skeleton, pose, joints, hands)


def _finished(skeleton: Skeleton, pose: Pose, joints: Joints, hands: str | None) -> Pose:
    pose.head_forward_degrees, pose.rounded_degrees = of(joints, "head_forward"), of(joints, "rounded")
    pose.shrug_degrees = {side: of(joints, "shrug", side) for side in SIDES}
    if hands is not None:
        place_hands(skeleton, pose, hands)
    return pose


def level_arms(skeleton: Skeleton, joints: Joints, balance: bool = False, hands: str | None = None) -> Pose:
    """As `feet`, but free arms keep to the world's vertical: arms held out in front stay level as the trunk leans."""
    pose = feet(skeleton, joints, balance, hands)
    if hands is None:
        upright = yaw(of(joints, "turn"))
        pose.arms = {side: free_arm(side, upright, joints) for side in SIDES}
    return pose


def split(skeleton: Skeleton, joints: Joints, front: Side = "L", hands: str | None = None) -> Pose:
    """One foot ahead: thigh and shin of the front leg place the hips, the rear leg follows on its toes."""
    size = skeleton.lengths
    phi, alpha = np.radians(of(joints, "thigh", front)), np.radians(of(joints, "shin", front))
    stride, width = of(joints, "stride"), of(joints, "stance")
    pelvis, chest, head = trunk(joints, of(joints, "lean"))
    behind = size.thigh * np.sin(phi) - size.shin * np.sin(alpha)
    up = size.thigh * np.cos(phi) + size.shin * np.cos(alpha) + size.ankle_height
    hips = _column(of(joints, "shift"), behind - 0.5 * stride, up)
    arms = {side: free_arm(side, chest, joints) for side in SIDES}
    pose = Pose(pelvis, chest, head, arms, {}, _hips_at(skeleton, pelvis, hips))
    heel = of(joints, "heel")
    rear: Side = "R" if front == "L" else "L"
    pole = apply(yaw(-sign(front) * of(joints, "knees_in", front)), FORWARD)
    ahead = _column(sign(front) * width / 2, -0.5 * stride, size.ankle_height)
    pose.legs[front] = plant_leg(skeleton, pose, front, ahead, pole, yaw(sign(front) * 5))
    toes = _column(sign(rear) * width / 2, 0.5 * stride, size.ankle_height + 0.15 * np.sin(np.radians(heel)))
    pose.legs[rear] = plant_leg(skeleton, pose, rear, toes, FORWARD + 0.35 * DOWN, pitch(heel))
    pose.legs[rear].toe_bend_degrees = heel
    return _finished(skeleton, pose, joints, hands)


def _prone_at(skeleton: Skeleton, joints: Joints, height: Number, incline: Number) -> Pose:
    sag = of(joints, "sag")
    pelvis = yaw(of(joints, "turn")) @ roll(of(joints, "tilt")) @ pitch(90 - incline)
    chest = yaw(of(joints, "turn")) @ pitch(90 - incline - 0.5 * sag + 0.5 * of(joints, "bend"))
    arms = {side: Limb(DOWN, DOWN, np.array([-1.0, 0.0, 0.0])) for side in SIDES}
    legs = {side: straight_leg(side, pelvis, flex=-0.5 * sag, out=2, knee=2, toe=0) for side in SIDES}
    for leg in legs.values():
        leg.end, leg.toe_bend_degrees = pitch(50), 50.0
    head = chest @ yaw(of(joints, "head_turn")) @ pitch(of(joints, "neck") - 18)
    pose = Pose(pelvis, chest, head, arms, legs)
    pose.rounded_degrees, pose.shrug_degrees = (
        of(joints, "rounded"),
        {side: of(joints, "shrug", side) for side in SIDES},
    )
    shoulder = skeleton.solve(pose)[1][..., SEGMENT_INDEX["upper_arm.L"], :].astype(np.float64)
    pose.position = _column(0.0, -shoulder[..., 1], height - shoulder[..., 2])
    return pose


def _prone(skeleton: Skeleton, joints: Joints, height: Number) -> Pose:
    tiptoe = 2.8 * skeleton.lengths.ankle_height
    low, high = np.full_like(height, -15.0), np.full_like(height, 60.0)
    for _ in range(9):
        middle = (low + high) / 2
        pose = _prone_at(skeleton, joints, height, middle)
        above = skeleton.solve(pose)[1][..., SEGMENT_INDEX["foot.L"], 2] > tiptoe
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return _prone_at(skeleton, joints, height, (low + high) / 2)


def hands_and_toes(skeleton: Skeleton, joints: Joints) -> Pose:
    """Face down on hands and toes; the elbows' flexion says how high the shoulders are."""
    size = skeleton.lengths
    angle = np.radians(of(joints, "elbow"))
    span = np.sqrt(size.upper_arm**2 + size.forearm**2 + 2 * size.upper_arm * size.forearm * np.cos(angle))
    pose = _prone(skeleton, joints, 0.06 + span * 0.97)
    positions = skeleton.solve(pose)[1].astype(np.float64)
    for side in SIDES:
        shoulder = positions[..., SEGMENT_INDEX[f"upper_arm.{side}"], :]
        hand = _column(sign(side) * of(joints, "hands") / 2, shoulder[..., 1] + 0.02, 0.05)
        flare = np.tan(np.radians(np.clip(of(joints, "flare", side), 0.0, 88.0)))
        pole = unit(_column(sign(side) * flare, 1.0, 0.15))
        pose.arms[side] = arm_reaching(skeleton, shoulder, hand, pole)
        pose.arms[side].end = hand_towards(side, FORWARD, DOWN)
    return pose


def forearms_and_toes(skeleton: Skeleton, joints: Joints) -> Pose:
    """Face down on forearms and toes."""
    height = skeleton.lengths.upper_arm + 0.04 + 0.0 * np.asarray(of(joints, "sag"))
    pose = _prone(skeleton, joints, height)
    for side in SIDES:
        ahead = unit(FORWARD - 0.15 * sign(side) * np.array([1.0, 0.0, 0.0]))
        pose.arms[side] = Limb(DOWN, ahead, np.array([-1.0, 0.0, 0.0]), hand_towards(side, ahead, DOWN))
    return pose


def shoulders_and_feet(skeleton: Skeleton, joints: Joints) -> Pose:
    """On the back, feet flat and knees up; `bridge` lifts the hips."""
    lying, size = pitch(-90), skeleton.lengths
    slope = of(joints, "bridge")
    pelvis = roll(0.0) @ pitch(-90 - slope - of(joints, "bend")) @ roll(of(joints, "tilt"))
    chest = pitch(-90 - 0.8 * slope)
    arms = {side: free_arm(side, lying, joints) for side in SIDES}
    pose = Pose(pelvis, chest, pitch(-90 + of(joints, "neck")), arms, {})
    pose.legs = {side: straight_leg(side, pelvis) for side in SIDES}
    resting = skeleton.rest("upper_arm.L") - (skeleton.rest("thigh.L") + skeleton.rest("thigh.R")) / 2
    shoulder = skeleton.solve(pose)[1][..., SEGMENT_INDEX["upper_arm.L"], :].astype(np.float64)
    pose.position = _column(0.0 * shoulder[..., 0], -shoulder[..., 1], 0.1 - shoulder[..., 2])
    ankle_y = -float(resting[2]) - of(joints, "foot_distance") * size.thigh
    for side in SIDES:
        ankle = _column(sign(side) * of(joints, "stance") / 2, ankle_y, size.ankle_height)
        inward = np.tan(np.radians(np.clip(of(joints, "knees_in", side), -80.0, 80.0)))
        pole = unit(_column(-sign(side) * inward, -0.2, 1.0))
        pose.legs[side] = plant_leg(skeleton, pose, side, ankle, pole, yaw(0.0))
    return pose


def seat(skeleton: Skeleton, joints: Joints, hands: str | None = None) -> Pose:
    """Sitting, feet flat in front."""
    size = skeleton.lengths
    pelvis, chest, head = trunk(joints, of(joints, "lean"))
    height = of(joints, "seat")
    arms = {side: free_arm(side, chest, joints) for side in SIDES}
    pose = Pose(pelvis, chest, head, arms, {}, _hips_at(skeleton, pelvis, _column(0.0, 0.0, height + 0.09)))
    for side in SIDES:
        turn = yaw(sign(side) * of(joints, "toe_out", side))
        back = size.shin * np.sin(np.radians(of(joints, "knee", side) - 90))
        ahead = apply(turn, FORWARD) * np.asarray(size.thigh - back)[..., None]
        ankle = ahead + _column(sign(side) * 0.1, 0.0, size.ankle_height)
        pose.legs[side] = plant_leg(skeleton, pose, side, ankle, apply(turn, FORWARD) - 0.6 * DOWN, turn)
    return _finished(skeleton, pose, joints, hands)


Solver = Callable[..., Pose]
SUPPORTS: Final[dict[str, Solver]] = {
    "feet": feet,
    "feet_level_arms": level_arms,
    "split": split,
    "hands_and_toes": hands_and_toes,
    "forearms_and_toes": forearms_and_toes,
    "shoulders_and_feet": shoulders_and_feet,
    "seat": seat,
}
"""What carries the body -> how a pose follows from the joints."""
