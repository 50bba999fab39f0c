"""A body of pivots alone, standing with its arms half out: kinematics are tested on it without the body model."""

import numpy as np

from plumbline_training.render.body import SEGMENT_INDEX, SEGMENTS, Body
from plumbline_training.render.pose import Skeleton

CENTRE = {
    "pelvis": (0.0, 0.02, 0.95), "spine05": (0.0, 0.03, 1.0), "spine04": (0.0, 0.03, 1.08),
    "spine03": (0.0, 0.03, 1.16), "spine02": (0.0, 0.03, 1.25), "chest": (0.0, 0.03, 1.33),
    "neck01": (0.0, 0.03, 1.45), "neck02": (0.0, 0.02, 1.49),
    "neck03": (0.0, 0.01, 1.53), "head": (0.0, 0.0, 1.57),
}  # fmt: skip
LEFT = {
    "clavicle": (0.03, 0.02, 1.4), "upper_arm": (0.17, 0.03, 1.4), "upper_arm_low": (0.25, 0.035, 1.31),
    "forearm": (0.36, 0.05, 1.2), "forearm_low": (0.43, 0.0, 1.12), "hand": (0.52, -0.04, 1.04),
    "thigh": (0.1, 0.02, 0.9), "thigh_low": (0.11, 0.02, 0.7), "shin": (0.12, 0.03, 0.48),
    "shin_low": (0.13, 0.04, 0.28), "foot": (0.14, 0.06, 0.08), "toes": (0.16, -0.08, 0.02),
}  # fmt: skip


def stick_body() -> Body:
    """About 1.7 m tall, symmetric."""
    pivots = np.zeros((len(SEGMENTS), 3), np.float32)
    for name, place in CENTRE.items():
        pivots[SEGMENT_INDEX[name]] = place
    for name, (x, y, z) in LEFT.items():
        pivots[SEGMENT_INDEX[f"{name}.L"]] = (x, y, z)
        pivots[SEGMENT_INDEX[f"{name}.R"]] = (-x, y, z)
    return Body(np.array([[0, 0, 0], [0, 0, 1.75]], np.float32), pivots)


def stick_skeleton() -> Skeleton:
    """Its kinematics."""
    return Skeleton(stick_body())
