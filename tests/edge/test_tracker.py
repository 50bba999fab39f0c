"""Where to look next: pure functions of keypoints and time."""

from __future__ import annotations

import numpy as np
import pytest
from tests.edge.dots import squatting, standing

from plumbline_contract.box import Box, affine_matrix, transform_points
from plumbline_contract.decode import Keypoints
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.orientation import body_turn
from plumbline_edge.search import Whom, search_rounds
from plumbline_edge.tracker import Tracker, TrackerConfig, person_score

HEIGHT, WIDTH = 480, 640
LEGS = (
    (Keypoint.LEFT_HIP, Keypoint.LEFT_KNEE, Keypoint.LEFT_ANKLE),
    (Keypoint.RIGHT_HIP, Keypoint.RIGHT_KNEE, Keypoint.RIGHT_ANKLE),
)


def nobody() -> Keypoints:
    return np.full((17, 3), [100, 100, 0.05], dtype=np.float32)


def contains(box: Box, keypoints_K3: Keypoints) -> bool:
    offset_K2 = np.abs(keypoints_K3[:, :2] - [box.centre_x, box.centre_y])
    return bool((offset_K2 <= np.array([box.width, box.height]) / 2).all())


def test_search_covers_a_wide_picture_upright_whole_and_lying_in_three_pictures() -> None:
    (middle, whole), (left, right), lying = search_rounds(720, 1280, "largest", turned=True)
    assert (whole.width, whole.height) == (1280, 720)
    assert {(box.width, box.height) for box in (middle, left, right)} == {(540, 720)}
    assert left.centre_x < middle.centre_x < right.centre_x
    assert right.centre_x + right.width / 2 == pytest.approx(1279.5)
    assert [(box.width, box.height, box.angle_degrees) for box in lying] == [(720, 1280, 90), (720, 1280, -90)]
    assert search_rounds(1280, 720, "largest", turned=False)[-1][-1] == Box.whole_image(1280, 720)
    assert search_rounds(480, 320, "largest", turned=False) == ((Box.whole_image(480, 320),),)


def test_search_goes_round_until_a_person_is_found() -> None:
    tracker = Tracker()
    rounds = []
    for index in range(3):
        rounds.append(tracker.regions(HEIGHT, WIDTH))
        assert tracker.update([nobody()] * 2, index / 30, HEIGHT, WIDTH) is None
    assert tuple(rounds[:2]) == search_rounds(HEIGHT, WIDTH, "largest", turned=False)
    assert rounds[2] == rounds[0]
    person_K3 = standing(320, 40, 400)
    assert tracker.update([nobody(), person_K3], 1.0, HEIGHT, WIDTH) is person_K3
    assert tracker.tracking
    assert contains(tracker.regions(HEIGHT, WIDTH)[0], person_K3)


@pytest.mark.parametrize(("whom", "chosen"), [("largest", 1), ("left", 0), ("right", 2)])
def test_of_several_people_the_one_asked_for_is_followed(whom: Whom, chosen: int) -> None:
    people = [standing(120, 200, 200), standing(320, 20, 440), standing(520, 180, 220)]
    tracker = Tracker(TrackerConfig(whom=whom))
    assert tracker.update(people, 0.0, HEIGHT, WIDTH) is people[chosen]
    assert contains(tracker.regions(HEIGHT, WIDTH)[0].padded(1.25), people[chosen])


def lying(head: int) -> Keypoints:
    """Somebody on the floor, their head to the right for head 1 and to the left for -1."""
    person_K3 = standing(0, 0, 400)
    across, down = person_K3[:, 0], person_K3[:, 1]
    return np.stack([320 - head * (down - 200), 300 + head * across, person_K3[:, 2]], axis=1)


@pytest.mark.parametrize("head", [1, -1])
def test_the_crop_turns_so_that_a_lying_body_stands_in_it(head: int) -> None:
    tracker = Tracker(TrackerConfig(turns=True))
    person_K3 = lying(head)
    tracker.update([person_K3], 0.0, HEIGHT, WIDTH)
    box = tracker.regions(HEIGHT, WIDTH)[0]
    assert box.angle_degrees == 90 * head
    crop_K2 = transform_points(affine_matrix(box.padded(1.25), 256, 192), person_K3[:, :2])
    assert (crop_K2 > 0).all()
    assert (crop_K2 < [192, 256]).all()
    assert crop_K2[Keypoint.NOSE, 1] < crop_K2[Keypoint.LEFT_HIP, 1] < crop_K2[Keypoint.LEFT_ANKLE, 1]


def test_the_crop_stays_upright_for_a_bent_torso_and_turns_back_with_the_body() -> None:
    bent_K3 = squatting(320, 40, 400, depth=1.0)
    bent_K3[[Keypoint.LEFT_SHOULDER, Keypoint.RIGHT_SHOULDER], 0] += 120
    assert body_turn(bent_K3, 0, 0.3) == 0
    assert body_turn(lying(1), 0, 0.3) == 90
    assert body_turn(standing(320, 40, 400), 90, 0.3) == 0
    assert body_turn(nobody(), 90, 0.3) == 90


@pytest.mark.parametrize("rate", [5.0, 30.0])
def test_squatting_person_stays_in_the_next_crop(rate: float) -> None:
    """The box shrinks and grows: each frame's person must lie in the crop chosen from the frame before."""
    tracker = Tracker()
    tracker.update([standing(320, 40, 400)], 0.0, HEIGHT, WIDTH)
    heights = []
    for step in range(1, round(8 * rate)):
        seconds = step / rate
        person_K3 = squatting(320, 40, 400, depth=(1 - np.cos(2 * np.pi * seconds / 2.0)) / 2)
        box = tracker.regions(HEIGHT, WIDTH)[0]
        heights.append(box.height)
        assert contains(box.padded(1.25), person_K3)
        assert tracker.update([person_K3], seconds, HEIGHT, WIDTH) is not None
    assert min(heights) < 0.93 * max(heights)


def test_box_grows_at_once_and_shrinks_with_time() -> None:
    small, large = standing(320, 140, 200), standing(320, 40, 400)
    tracker = Tracker()
    tracker.update([small], 0.0, HEIGHT, WIDTH)
    small_height = tracker.regions(HEIGHT, WIDTH)[0].height
    tracker.update([large], 0.1, HEIGHT, WIDTH)
    large_height = tracker.regions(HEIGHT, WIDTH)[0].height
    assert large_height == pytest.approx(2 * small_height, rel=0.05)
    tracker.update([small], 0.2, HEIGHT, WIDTH)
    assert 0.7 * large_height < tracker.regions(HEIGHT, WIDTH)[0].height < large_height
    for step in range(30):
        tracker.update([small], 0.3 + step / 10, HEIGHT, WIDTH)
    assert tracker.regions(HEIGHT, WIDTH)[0].height == pytest.approx(small_height, rel=0.02)


def test_short_absence_is_borne_and_a_longer_one_loses_the_person() -> None:
    tracker = Tracker(TrackerConfig(patience_seconds=0.4))
    tracker.update([standing(320, 40, 400)], 0.0, HEIGHT, WIDTH)
    box = tracker.regions(HEIGHT, WIDTH)[0]
    assert tracker.update([nobody()], 0.2, HEIGHT, WIDTH) is None
    assert tracker.regions(HEIGHT, WIDTH)[0] == box
    tracker.update([nobody()], 0.45, HEIGHT, WIDTH)
    assert not tracker.tracking
    assert tracker.regions(HEIGHT, WIDTH)[0] == search_rounds(HEIGHT, WIDTH, "largest", turned=False)[0][0]


def test_a_tracked_person_is_kept_at_a_score_that_would_not_acquire_one() -> None:
    faint = standing(320, 40, 400)
    faint[:, 2] = 0.4
    faint[:4, 2] = 0.6
    assert TrackerConfig.keep_score < person_score(faint) < TrackerConfig.acquire_score
    fresh, tracking = Tracker(), Tracker()
    tracking.update([standing(320, 40, 400)], 0.0, HEIGHT, WIDTH)
    assert fresh.update([faint], 0.1, HEIGHT, WIDTH) is None
    assert tracking.update([faint], 0.1, HEIGHT, WIDTH) is not None


def test_tiny_person_gets_a_box_of_least_size() -> None:
    tracker = Tracker()
    assert tracker.update([standing(320, 240, 8)], 0.0, HEIGHT, WIDTH) is not None
    box = tracker.regions(HEIGHT, WIDTH)[0]
    assert max(box.width, box.height) == pytest.approx(48.0)


@pytest.mark.parametrize("lying", [False, True], ids=["standing", "lying"])
def test_legs_drawn_up_into_the_crop_are_looked_for_where_they_should_be(lying: bool) -> None:
    person_K3 = standing(320, 40, 400)
    if lying:
        person_K3 = np.stack([person_K3[:, 1] + 100, person_K3[:, 0] - 80, person_K3[:, 2]], axis=1)
    drawn_up_K3 = person_K3.copy()
    for hip, knee, ankle in LEGS:
        drawn_up_K3[[knee, ankle], :2] = drawn_up_K3[hip, :2] + 3
    tracker = Tracker()
    tracker.update([drawn_up_K3], 0.0, HEIGHT, WIDTH)
    assert contains(tracker.regions(HEIGHT, WIDTH)[0].padded(1.25), person_K3)


@pytest.mark.parametrize(
    "keypoints",
    [np.full((17, 3), np.nan), np.full((17, 3), 0.9), standing(-900, 0, 300)],
    ids=["nan", "point", "outside"],
)
def test_nonsense_is_nobody(keypoints: Keypoints) -> None:
    assert Tracker().update([keypoints], 0.0, HEIGHT, WIDTH) is None
