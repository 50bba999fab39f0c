"""Rendered people, with the real body model: the same seed gives the same picture, and what is said of it is true."""

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from plumbline_contract.skeleton import KEYPOINT_NAMES, Keypoint
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.images import render_sample, write_images
from plumbline_training.render.motions import Squat, arm_to, centre_of_mass, plank, push_up, squat, standing
from plumbline_training.render.person import OCCLUDED, OUTSIDE, VISIBLE, Person, Studio
from plumbline_training.render.raster import rasterise
from plumbline_training.render.squats import SquatClip, demonstrator

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def studio() -> Studio:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the body model's own, while it loads
        return Studio()


def seen_from(studio: Studio, person: Person, azimuth: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Visibility flags from a camera at chest height, 4 m away."""
    target = np.array([0.0, 0.0, 0.9])
    camera = Camera(orbit(target, 4.0, azimuth, 3), (0.0, 0.0, 0.9), 36.0, 500, 500)
    seen = rasterise(camera.project(person.vertices_V3), studio.model.faces_F3, 500, 500)
    return studio.visibility(person, camera, seen)


def test_a_standing_person_seen_from_the_front_shows_everything(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    flags = seen_from(studio, wardrobe.pose(standing(wardrobe.skeleton)), 0)
    assert [name for name, flag in zip(KEYPOINT_NAMES, flags, strict=True) if flag != VISIBLE] == []


def test_a_person_seen_from_behind_hides_the_face(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    flags = seen_from(studio, wardrobe.pose(standing(wardrobe.skeleton)), 180)
    assert flags[[Keypoint.NOSE, Keypoint.LEFT_EYE, Keypoint.RIGHT_EYE]].tolist() == [OCCLUDED] * 3
    assert flags[[Keypoint.LEFT_SHOULDER, Keypoint.LEFT_KNEE, Keypoint.RIGHT_ANKLE]].tolist() == [VISIBLE] * 3


def test_a_hand_behind_the_back_is_hidden_from_the_front_only(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    pose = standing(wardrobe.skeleton)
    back = pose.position + wardrobe.skeleton.rest("pelvis") + np.array([0.02, 0.2, 0.1])
    pose.arms["R"] = arm_to(wardrobe.skeleton, pose, "R", back, np.array([-1.0, 0.6, 0.0]))
    person = wardrobe.pose(pose)
    assert seen_from(studio, person, 0)[Keypoint.RIGHT_WRIST] == OCCLUDED
    assert seen_from(studio, person, 180)[Keypoint.RIGHT_WRIST] == VISIBLE


def test_the_far_arm_and_leg_are_hidden_from_the_side(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    flags = seen_from(studio, wardrobe.pose(standing(wardrobe.skeleton)), 90)
    assert flags[[Keypoint.RIGHT_SHOULDER, Keypoint.RIGHT_HIP, Keypoint.RIGHT_EAR]].tolist() == [OCCLUDED] * 3
    assert flags[[Keypoint.LEFT_SHOULDER, Keypoint.LEFT_HIP, Keypoint.LEFT_EAR]].tolist() == [VISIBLE] * 3


def test_keypoints_beyond_the_edge_are_outside(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    person = wardrobe.pose(standing(wardrobe.skeleton))
    camera = Camera((0.0, -4.0, 1.6), (0.0, 0.0, 1.6), 20.0, 200, 200)
    seen = rasterise(camera.project(person.vertices_V3), studio.model.faces_F3, 200, 200)
    flags = studio.visibility(person, camera, seen)
    assert flags[Keypoint.LEFT_ANKLE] == OUTSIDE
    assert flags[Keypoint.NOSE] == VISIBLE


def test_a_squat_is_balanced_over_its_planted_feet(studio: Studio) -> None:
    skeleton = studio.wardrobe(demonstrator()).skeleton
    for thigh in (30, 60, 95):
        pose = squat(skeleton, Squat(thigh, 0.38 * thigh, arms="forward"))
        person = studio.wardrobe(demonstrator()).pose(pose, grounded=False)
        ankles = person.keypoints_K3[[Keypoint.LEFT_ANKLE, Keypoint.RIGHT_ANKLE]]
        assert np.abs(ankles[:, 1]).max() < 0.05
        assert -0.12 < centre_of_mass(skeleton, pose)[1] < 0.03


def test_prone_exercises_rest_on_hands_and_toes(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    for pose in (push_up(wardrobe.skeleton, 0.5, 0, 0.55, 45), plank(wardrobe.skeleton, 0)):
        keypoints = wardrobe.pose(pose).keypoints_K3
        assert keypoints[Keypoint.LEFT_WRIST, 2] < 0.1
        assert keypoints[Keypoint.LEFT_ANKLE, 2] < 0.28
        line = keypoints[[Keypoint.LEFT_SHOULDER, Keypoint.LEFT_HIP, Keypoint.LEFT_ANKLE]]
        share = (line[1, 1] - line[0, 1]) / (line[2, 1] - line[0, 1])
        assert line[1, 2] == pytest.approx(line[0, 2] + share * (line[2, 2] - line[0, 2]), abs=0.12)


def test_one_seed_is_one_picture(studio: Studio) -> None:
    first, again, other = render_sample(studio, 4, 1), render_sample(studio, 4, 1), render_sample(studio, 4, 2)
    np.testing.assert_array_equal(first.picture_rgb, again.picture_rgb)
    np.testing.assert_array_equal(first.keypoints_K3, again.keypoints_K3)
    assert not np.array_equal(first.keypoints_K3, other.keypoints_K3)


def test_flags_and_boxes_agree_with_the_picture(studio: Studio) -> None:
    for index in range(6):
        sample = render_sample(studio, 11, index)
        height, width = sample.picture_rgb.shape[:2]
        shown = sample.keypoints_K3[:, 2] > 0
        xy = sample.keypoints_K3[shown, :2]
        left, top, box_width, box_height = sample.bbox_xywh
        assert xy.min() > -1
        assert (xy.max(axis=0) < (width, height)).all()
        visible = sample.keypoints_K3[sample.keypoints_K3[:, 2] == VISIBLE, :2]
        assert (visible >= np.array([left, top]) - 3).all()
        assert (visible <= np.array([left + box_width, top + box_height]) + 3).all()
        assert 0 < sample.area <= box_width * box_height


def test_a_set_resumes_and_is_coco(tmp_path: Path) -> None:
    write_images(tmp_path, 2, 3)
    before = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    kept = sorted((tmp_path / "images").iterdir())[0]
    kept_time = kept.stat().st_mtime_ns
    (tmp_path / "parts" / "3_000001.json").unlink()
    document = json.loads(write_images(tmp_path, 2, 3).read_text())
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == before
    assert kept.stat().st_mtime_ns == kept_time
    assert document["categories"][0]["keypoints"] == list(KEYPOINT_NAMES)
    for image, annotation in zip(document["images"], document["annotations"], strict=True):
        picture = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        assert picture is not None
        assert picture.shape[:2] == (image["height"], image["width"])
        assert annotation["num_keypoints"] == sum(flag > 0 for flag in annotation["keypoints"][2::3])


def test_the_sample_clip_is_what_the_code_renders(studio: Studio) -> None:
    described = json.loads((SAMPLES / "squats.json").read_text())
    clip = SquatClip(studio, described["seed"])
    number = described["repetitions"][1]["bottom_frame"]
    picture, keypoints = clip.frame(number)
    np.testing.assert_allclose(keypoints, described["keypoints"][number], atol=0.02)
    video = cv2.VideoCapture(str(SAMPLES / "squats.mp4"))
    for _ in range(number + 1):
        decoded = video.read()[1]
    difference = np.abs(decoded[..., ::-1].astype(float) - picture)
    assert difference.mean() < 6, "the frame differs from its compressed form by more than compression does"
