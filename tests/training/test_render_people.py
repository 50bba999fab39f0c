"""Rendered people, with the real body model: the same seed gives the same picture, and what is said of it is true."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from plumbline_contract.skeleton import KEYPOINT_NAMES, Keypoint
from plumbline_training.render.attributes import ATTRIBUTES
from plumbline_training.render.backgrounds import photographs
from plumbline_training.render.camera import Camera, orbit
from plumbline_training.render.clips import Clip
from plumbline_training.render.motion import known_motions
from plumbline_training.render.motions import Squat, arm_to, centre_of_mass, squat, standing
from plumbline_training.render.performer import perform
from plumbline_training.render.person import OCCLUDED, OUTSIDE, VISIBLE, Person, Studio, turned
from plumbline_training.render.pictures import PictureJob, Sample, Sources, render_sample, write_pictures
from plumbline_training.render.props import box
from plumbline_training.render.raster import rasterise
from plumbline_training.render.room import Block
from plumbline_training.render.scene import survey, visibility
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


def test_keypoints_lie_inside_the_body_and_project_into_its_outline(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    camera = Camera((1.5, -4.0, 1.3), (0.0, 0.0, 0.8), 40.0, 300, 240)
    for name, motion in known_motions().items():
        performance = perform(name, motion, np.random.default_rng(0), fault="none")
        rotations, positions = wardrobe.skeleton.solve(performance.pose_at(wardrobe.skeleton, np.array([2.0])))
        person = wardrobe.placed(rotations[0], positions[0])
        nearest = np.linalg.norm(person.vertices_V3[None] - person.keypoints_K3[:, None], axis=2).min(axis=1)
        assert nearest.max() < 0.16, name
        covered = rasterise(camera.project(person.vertices_V3), studio.model.faces_F3, 300, 240).face_HW >= 0
        outline = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8))
        columns, rows = camera.project(person.keypoints_K3)[:, :2].round().astype(int).T
        inside = (columns >= 0) & (columns < 240) & (rows >= 0) & (rows < 300)
        assert outline[rows[inside], columns[inside]].all(), name


def test_a_thing_and_another_person_hide_what_is_behind_them(studio: Studio) -> None:
    wardrobe = studio.wardrobe(demonstrator())
    person = wardrobe.pose(standing(wardrobe.skeleton))
    camera = Camera((0.0, -4.0, 1.0), (0.0, 0.0, 0.9), 36.0, 500, 500)
    free = visibility(studio, person, 0, survey(studio, [person], [], camera))
    knees = [Keypoint.LEFT_KNEE, Keypoint.RIGHT_KNEE]
    assert free[knees].tolist() == [VISIBLE] * 2
    board = box(Block((0.0, -1.0, 0.3), (1.2, 0.02, 0.4), 0, (0.5, 0.5, 0.5)))
    hidden = visibility(studio, person, 0, survey(studio, [person], [board], camera))
    assert hidden[knees].tolist() == [OCCLUDED] * 2
    assert hidden[Keypoint.LEFT_SHOULDER] == VISIBLE
    behind = box(Block((0.0, 1.0, 0.0), (3.0, 0.02, 2.0), 0, (0.5, 0.5, 0.5)))
    np.testing.assert_array_equal(visibility(studio, person, 0, survey(studio, [person], [behind], camera)), free)
    other = turned(person, 0, (0.0, -1.0))
    view = survey(studio, [person, other], [], camera)
    assert visibility(studio, person, 0, view)[Keypoint.NOSE] == OCCLUDED
    np.testing.assert_array_equal(visibility(studio, other, 1, view)[knees], [VISIBLE] * 2)


def test_one_seed_is_one_picture(studio: Studio) -> None:
    sources = Sources(known_motions())
    first, again, other = (render_sample(studio, sources, 4, number) for number in (1, 1, 2))
    np.testing.assert_array_equal(first.picture_rgb, again.picture_rgb)
    np.testing.assert_array_equal(first.people[0].keypoints_K3, again.people[0].keypoints_K3)
    assert not np.array_equal(first.people[0].keypoints_K3, other.people[0].keypoints_K3)


def test_flags_and_boxes_agree_with_the_picture(studio: Studio) -> None:
    for index in range(8):
        sample = render_sample(studio, Sources(known_motions()), 11, index)
        height, width = sample.picture_rgb.shape[:2]
        for person in sample.people:
            keypoints = person.keypoints_K3
            shown = keypoints[keypoints[:, 2] > 0, :2]
            assert (shown > -1).all()
            assert (shown < (width, height)).all()
            left, top, box_width, box_height = person.bbox_xywh
            assert left >= 0
            assert top >= 0
            assert left + box_width <= width
            assert top + box_height <= height
            assert 0 < person.area <= box_width * box_height


def test_a_set_resumes_and_is_coco(tmp_path: Path) -> None:
    job = PictureJob(tmp_path, 3)
    write_pictures(job, 2, 1, quiet=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    kept = sorted((tmp_path / "images").iterdir())[0]
    kept_time = kept.stat().st_mtime_ns
    job.part(1).unlink()
    write_pictures(job, 2, 2, quiet=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == before
    assert kept.stat().st_mtime_ns == kept_time
    document = json.loads((tmp_path / "person_keypoints.json").read_text())
    assert document["categories"][0]["keypoints"] == list(KEYPOINT_NAMES)
    sizes = {image["id"]: (image["height"], image["width"]) for image in document["images"]}
    for image in document["images"]:
        picture = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        assert picture is not None
        assert picture.shape[:2] == sizes[image["id"]]
    for annotation in document["annotations"]:
        assert annotation["image_id"] in sizes
        assert annotation["num_keypoints"] == sum(flag > 0 for flag in annotation["keypoints"][2::3])


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_pictures(PictureJob(whole, 6), 6, 1, quiet=True)
    command = [sys.executable, "-W", "ignore", "-m", "plumbline_training.render", "images", "--out", str(cut)]
    command += ["--count", "6", "--seed", "6", "--workers", "2", "--quiet"]
    running = subprocess.Popen(command, start_new_session=True)
    while len(list((cut / "parts").glob("*.json"))) < 1:
        assert running.poll() is None, "it must not end before it is killed"
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (cut / "person_keypoints.json").exists()
    subprocess.run(command, check=True)
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(cut) for path in cut.rglob("*") if path.is_file()}
    for name in names:
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


def test_clips_say_what_is_in_them(studio: Studio, tmp_path: Path) -> None:
    motions = {"shoulder_shrug": known_motions()["shoulder_shrug"]}
    clips = [Clip(studio, motions, 2, 0, 5.0, fault="elbows_bend") for _ in range(2)]
    keypoints, filmed = clips[0].keypoints(), clips[1].film(tmp_path / "clip.mp4")
    np.testing.assert_array_equal(keypoints[..., :2], filmed[..., :2])
    assert (keypoints[..., 2] != filmed[..., 2]).mean() < 0.05
    said = json.loads(json.dumps(clips[0].describe(keypoints, None)))
    assert said["frame_count"] == len(said["keypoints"]) == len(said["phases"])
    assert len(said["keypoints"][0]) == len(KEYPOINT_NAMES)
    assert said["faults"]
    for fault in said["faults"]:
        assert fault["name"] == "elbows_bend"
        assert 0 <= fault["onset_frame"] <= fault["end_frame"] < said["frame_count"]
        assert fault["onset_frame"] == math.ceil(fault["onset_seconds"] * 5 - 1e-3)
        rep = said["repetitions"][fault["repetition"]]
        assert rep["start_frame"] <= fault["onset_frame"] <= fault["end_frame"] <= rep["end_frame"]
    video = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == said["frame_count"]
    assert list(tmp_path.iterdir()) == [tmp_path / "clip.mp4"]


def test_photographs_stand_behind_the_people(studio: Studio, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "green.png"), np.full((300, 400, 3), (30, 200, 30), np.uint8))
    sources = Sources(known_motions(), photographs=photographs(tmp_path))
    found = [render_sample(studio, sources, 1, index).picture_rgb for index in range(8)]
    green = [float(np.median(each[..., 1].astype(int) - each[..., 0])) > 60 for each in found]
    assert 2 <= sum(green) < 8


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


def test_a_changed_look_leaves_scene_and_pose_alone(studio: Studio) -> None:
    sources = Sources(known_motions())

    def two(attribute: str) -> list[Sample]:
        levels = list(ATTRIBUTES[attribute].values())
        return [render_sample(studio, sources, 900, 1, change) for change in (levels[0], levels[-1])]

    light, dark = two("skin")
    assert np.array_equal(light.people[0].keypoints_K3, dark.people[0].keypoints_K3)
    assert 0.002 < (light.picture_rgb != dark.picture_rgb).any(axis=2).mean() < 0.6
    # The camera frames the clothes too, so that it stands a little elsewhere.
    tight, skirt = two("clothes")
    assert np.allclose(tight.people[0].keypoints_K3[:, :2], skirt.people[0].keypoints_K3[:, :2], atol=3)
