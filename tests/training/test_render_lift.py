"""Real poses on a body: what is lifted looks from the front as the keypoints say."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.training.stick_body import stick_skeleton

from plumbline_contract.skeleton import NUM_KEYPOINTS, Keypoint
from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.errors import InvalidRequest
from plumbline_training.render.lift import lift, load_prior
from plumbline_training.render.motion import known_motions
from plumbline_training.render.performer import perform

SKELETON = stick_skeleton()
PIVOTS = {
    f"{side}_{joint}": f"{segment}.{side[0].upper()}"
    for side in ("left", "right")
    for joint, segment in (
        ("shoulder", "upper_arm"), ("elbow", "forearm"), ("wrist", "hand"), ("hip", "thigh"), ("knee", "shin"),
        ("ankle", "foot")
    )
}  # fmt: skip
LIMBS = [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")]


def front_view(positions_S3: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Keypoints (K, 3) of pivots as parts of a 4:3 picture 3 m high; no face."""
    keypoints = np.zeros((NUM_KEYPOINTS, 3))
    for name, segment in PIVOTS.items():
        x, _, z = positions_S3[SEGMENT_INDEX[segment]]
        keypoints[Keypoint[name.upper()]] = (0.5 + x / 4, 0.8 - z / 3, 2)
    return keypoints


@pytest.mark.parametrize("name", ["squat", "front_raise", "jumping_jack", "desk_sitting"])
def test_limbs_point_the_same_way_in_the_picture(name: str) -> None:
    rng = np.random.default_rng(1)
    performance = perform(name, known_motions()[name], rng, fault="none")
    truth = SKELETON.solve(performance.pose_at(SKELETON, np.array([2.0])))[1][0]
    found = SKELETON.solve(lift(front_view(truth), SKELETON, rng))[1]
    for side in "LR":
        for first, second in LIMBS:
            a, b = (PIVOTS[f"{'left' if side == 'L' else 'right'}_{joint}"] for joint in (first, second))
            want, got = ((each[SEGMENT_INDEX[b]] - each[SEGMENT_INDEX[a]])[[0, 2]] for each in (truth, found))
            assert np.linalg.norm(want - got) < 0.09, (name, a, b)


def test_knees_and_elbows_bend_the_way_they_can() -> None:
    rng = np.random.default_rng(0)
    performance = perform("squat", known_motions()["squat"], rng, fault="none")
    deep = performance.pose_at(SKELETON, np.array([performance.repetitions[0].full]))
    pose = lift(front_view(SKELETON.solve(deep)[1][0]), SKELETON, rng)
    for leg in pose.legs.values():
        assert float(np.cross(leg.upper, leg.lower) @ pose.pelvis[:, 0]) > -0.15


def test_only_whole_persons_are_taken(tmp_path: Path) -> None:
    keypoints = np.full((3, NUM_KEYPOINTS, 3), 2, np.uint16)
    keypoints[..., :2] = np.random.default_rng(0).integers(1000, 60000, (3, NUM_KEYPOINTS, 2))
    keypoints[1, Keypoint.LEFT_ANKLE, 2] = 0
    np.savez(tmp_path / "poses.npz", keypoints_xy_u16_v=keypoints)
    assert len(load_prior(tmp_path / "poses.npz").keypoints_NK3) == 2


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    (tmp_path / "text.npz").write_text("no arrays")
    for name in ("other.npz", "text.npz", "absent.npz"):
        with pytest.raises(InvalidRequest, match=r"--poses '.*\.npz' has no"):
            load_prior(tmp_path / name)
    np.savez(tmp_path / "flat.npz", keypoints_xy_u16_v=np.zeros((4, 5)))
    with pytest.raises(InvalidRequest, match=r"needed is \(N, 17, 3\)"):
        load_prior(tmp_path / "flat.npz")
