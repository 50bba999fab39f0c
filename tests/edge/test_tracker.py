"""Where to look next: pure functions of keypoints and time."""

from __future__ import annotations

import numpy as np
import pytest
from tests.edge.dots import squatting, standing

from plumbline_contract.box import Box
from plumbline_contract.decode import Keypoints
from plumbline_contract.skeleton import Keypoint
from plumbline_edge.tracker import Tracker, TrackerConfig, person_score, search_boxes

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


def test_search_boxes_cover_a_wide_picture_upright_and_whole() -> None:
    middle, whole, left, right = search_boxes(720, 1280)
    assert (whole.width, whole.height) == (1280, 720)
    assert {(box.width, box.height) for box in (middle, left, right)} == {(540, 720)}
    assert left.centre_x < middle.centre_x < right.centre_x
    assert right.centre_x + right.width / 2 == pytest.approx(1279.5)
    assert search_boxes(1280, 720) == (Box.whole_image(1280, 720),)


def test_search_goes_round_until_a_person_is_found() -> None:
    tracker = Tracker()
    regions = []
    for index in range(5):
        regions.append(tracker.next_box(HEIGHT, WIDTH))
        assert not tracker.update(nobody(), index / 30, HEIGHT, WIDTH)
    assert regions[:4] == list(search_boxes(HEIGHT, WIDTH))
    assert regions[4] == regions[0]
    assert tracker.update(standing(320, 40, 400), 1.0, HEIGHT, WIDTH)
    assert tracker.tracking
    assert contains(tracker.next_box(HEIGHT, WIDTH), standing(320, 40, 400))


@pytest.mark.parametrize("rate", [5.0, 30.0])
def test_squatting_person_stays_in_the_next_crop(rate: float) -> None:
    """The box shrinks and grows: each frame's person must lie in the crop chosen from the frame before."""
    tracker = Tracker()
    tracker.update(standing(320, 40, 400), 0.0, HEIGHT, WIDTH)
    heights = []
    for step in range(1, round(8 * rate)):
        seconds = step / rate
        person_K3 = squatting(320, 40, 400, depth=(1 - np.cos(2 * np.pi * seconds / 2.0)) / 2)
        box = tracker.next_box(HEIGHT, WIDTH)
        heights.append(box.height)
        assert contains(box.padded(1.25), person_K3)
        assert tracker.update(person_K3, seconds, HEIGHT, WIDTH)
    assert min(heights) < 0.93 * max(heights)


def test_box_grows_at_once_and_shrinks_with_time() -> None:
    small, large = standing(320, 140, 200), standing(320, 40, 400)
    tracker = Tracker()
    tracker.update(small, 0.0, HEIGHT, WIDTH)
    small_height = tracker.next_box(HEIGHT, WIDTH).height
    tracker.update(large, 0.1, HEIGHT, WIDTH)
    large_height = tracker.next_box(HEIGHT, WIDTH).height
    assert large_height == pytest.approx(2 * small_height, rel=0.05)
    tracker.update(small, 0.2, HEIGHT, WIDTH)
    assert 0.7 * large_height < tracker.next_box(HEIGHT, WIDTH).height < large_height
    for step in range(30):
        tracker.update(small, 0.3 + step / 10, HEIGHT, WIDTH)
    assert tracker.next_box(HEIGHT, WIDTH).height == pytest.approx(small_height, rel=0.02)


def test_short_absence_is_borne_and_a_longer_one_loses_the_person() -> None:
    tracker = Tracker(TrackerConfig(patience_seconds=0.4))
    tracker.update(standing(320, 40, 400), 0.0, HEIGHT, WIDTH)
    box = tracker.next_box(HEIGHT, WIDTH)
    assert not tracker.update(nobody(), 0.2, HEIGHT, WIDTH)
    assert tracker.next_box(HEIGHT, WIDTH) == box
    tracker.update(nobody(), 0.45, HEIGHT, WIDTH)
    assert not tracker.tracking
    assert tracker.next_box(HEIGHT, WIDTH) == search_boxes(HEIGHT, WIDTH)[0]


def test_a_tracked_person_is_kept_at_a_score_that_would_not_acquire_one() -> None:
    faint = standing(320, 40, 400)
    faint[:, 2] = 0.4
    faint[:4, 2] = 0.6
    assert TrackerConfig.keep_score < person_score(faint) < TrackerConfig.acquire_score
    fresh, tracking = Tracker(), Tracker()
    tracking.update(standing(320, 40, 400), 0.0, HEIGHT, WIDTH)
    assert not fresh.update(faint, 0.1, HEIGHT, WIDTH)
    assert tracking.update(faint, 0.1, HEIGHT, WIDTH)


def test_tiny_person_gets_a_box_of_least_size() -> None:
    tracker = Tracker()
    assert tracker.update(standing(320, 240, 8), 0.0, HEIGHT, WIDTH)
    box = tracker.next_box(HEIGHT, WIDTH)
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
    tracker.update(drawn_up_K3, 0.0, HEIGHT, WIDTH)
    assert contains(tracker.next_box(HEIGHT, WIDTH).padded(1.25), person_K3)


@pytest.mark.parametrize(
    "keypoints",
    [np.full((17, 3), np.nan), np.full((17, 3), 0.9), standing(-900, 0, 300)],
    ids=["nan", "point", "outside"],
)
def test_nonsense_is_nobody(keypoints: Keypoints) -> None:
    assert not Tracker().update(keypoints, 0.0, HEIGHT, WIDTH)
