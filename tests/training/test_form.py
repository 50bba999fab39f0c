"""The judge of form on bodies of sticks: labels, mirror, corrections, training that learns and goes on, folds."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.stick_body import stick_skeleton

from plumbline_contract.form import (
    ANSWER,
    CHANNELS,
    EXERCISES,
    FAULT_NAMES,
    LAG_FRAMES,
    LOGITS,
    PHASES,
    RATE_HZ,
    WINDOW_FRAMES,
)
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_training.checkpoint import save_atomically
from plumbline_training.errors import InvalidCheckpoint, InvalidDataset
from plumbline_training.form import evaluate
from plumbline_training.form.cli import read_data
from plumbline_training.form.errors import (
    ErrorBank,
    ErrorTrack,
    error_track,
    hip_centred,
    load_error_tracks,
    save_error_tracks,
)
from plumbline_training.form.net import FormNet, FrameConv
from plumbline_training.form.recorded import Recorded, folds, load_recorded, require_folds, varied_windows
from plumbline_training.form.rendered import (
    FAULTS_NAMED,
    NAMED,
    Performed,
    labels_of,
    load_performed,
    save_performed,
    strength,
    without_faults,
)
from plumbline_training.form.samples import film, is_held_out_view, mirrored, rendered_batch, windows_of
from plumbline_training.form.train import FormConfig, load_form, train_form, what_is_left
from plumbline_training.render.body import SEGMENT_INDEX
from plumbline_training.render.motion import known_motions
from plumbline_training.render.performance import Performance
from plumbline_training.render.performer import perform

MOTIONS = known_motions()
PIVOTS = [
    SEGMENT_INDEX[f"{segment}.{side}"]
    for segment in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
    for side in "LR"
]
"""Pivots that stand for the twelve joints; the head stands for all of the face."""


def points(done: Performance) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Keypoints (T, K, 3) of the body of sticks."""
    skeleton = stick_skeleton()
    times_T = np.arange(int(done.seconds * RATE_HZ)) / RATE_HZ
    positions_TS3 = skeleton.solve(done.pose_at(skeleton, times_T))[1]
    return positions_TS3[:, [SEGMENT_INDEX["head"]] * 5 + PIVOTS]


def performed(number: int, fault: str | None = None, name: str | None = None) -> Performed:
    """A performance of sticks."""
    exercise = name or list(MOTIONS)[number % len(MOTIONS)]
    done = perform(exercise, MOTIONS[exercise], np.random.default_rng(number), repetitions=(3, 3), fault=fault)
    points_TK3, times_T = points(done), np.arange(int(done.seconds * RATE_HZ)) / RATE_HZ
    named = NAMED.get(exercise, exercise)
    return Performed(
        EXERCISES.index(named),
        False,
        points_TK3,
        points(without_faults(done)),
        np.array([PHASES.index(phase) for phase in done.phases(times_T)]),
        *labels_of(named, done, times_T),
    )


SQUATS = [performed(number, fault, "squat") for number, fault in enumerate(("none", "knees_in", "too_shallow") * 2)]


def test_every_fault_of_the_renderer_has_a_name_in_the_contract() -> None:
    injected = {
        (NAMED.get(name, name), FAULTS_NAMED.get((NAMED.get(name, name), fault.name), fault.name))
        for name, motion in MOTIONS.items()
        for fault in motion.faults
    }
    assert injected == set(FAULT_NAMES)


@pytest.mark.parametrize(("name", "fault"), [(n, f.name) for n, m in MOTIONS.items() for f in m.faults])
def test_without_its_fault_a_performance_is_another_only_while_the_fault_shows(name: str, fault: str) -> None:
    done = perform(name, MOTIONS[name], np.random.default_rng(5), repetitions=(3, 3), fault=fault)
    times_T = np.arange(int(done.seconds * RATE_HZ)) / RATE_HZ
    active_TF, keypoints_TK, strength_T = labels_of(NAMED.get(name, name), done, times_T)
    moved_T = np.abs(points(done) - points(without_faults(done))).max(axis=(1, 2))
    tempo = done.injected[0].fault.tempo is not None
    assert active_TF.any()
    assert (active_TF.any(axis=1) == keypoints_TK.any(axis=1)).all()
    assert (moved_T[active_TF.any(axis=1)].max() > 0.01) == (not tempo)
    assert (strength_T > 0).any() == (not tempo)
    # The mildest form is 1 up to the renderer's own spread of a tenth, and nothing is milder.
    assert all(strength(each) > 0.85 for each in done.injected)


def test_a_window_says_what_is_true_at_the_moment_asked_about() -> None:
    wrong = SQUATS[1]
    moments = np.flatnonzero(wrong.active_TF.any(axis=1))[:3]
    batch = windows_of(wrong, film(wrong, np.random.default_rng(0), augmented=False), moments)
    assert batch.wrong_N.tolist() == [1, 1, 1]
    assert batch.faults_NF[:, FAULT_NAMES.index(("squat", "knees_caving_in"))].all()
    named = {KEYPOINT_NAMES[keypoint] for keypoint in np.flatnonzero(batch.keypoints_NK[0])}
    assert named == {"left_knee", "right_knee"}


def test_a_mirror_exchanges_sides_and_comes_back() -> None:
    batch = rendered_batch(SQUATS, np.random.default_rng(1), 2)
    everything = np.ones(len(batch.wrong_N), bool)
    there = mirrored(batch, everything)
    assert np.abs(there.windows_NWC - batch.windows_NWC).max() > 0.1
    back = mirrored(there, everything)
    np.testing.assert_array_equal(back.windows_NWC, batch.windows_NWC)
    np.testing.assert_array_equal(back.offsets_NK2, batch.offsets_NK2)


def test_no_training_camera_stands_in_the_views_that_are_left_out() -> None:
    rng = np.random.default_rng(2)
    azimuths = [film(SQUATS[0], rng, held_out).azimuth_degrees for held_out in (False,) * 20 + (True,) * 5]
    assert [is_held_out_view(azimuth) for azimuth in azimuths] == [False] * 20 + [True] * 5


def test_the_true_offsets_correct_every_pose_and_none_correct_none() -> None:
    wrong = SQUATS[1]
    moments = evaluate.moments_asked(wrong)
    truth = windows_of(wrong, film(wrong, np.random.default_rng(0), augmented=False), moments)
    logits_NL = np.zeros((len(moments), LOGITS), np.float32)
    untouched = evaluate.Moments(logits_NL, truth)
    assert (evaluate.remaining(untouched) >= evaluate.RIGHT_BELOW).all()
    logits_NL = logits_NL.copy()
    logits_NL[:, ANSWER["offsets"]] = truth.offsets_NK2.reshape(len(moments), -1)
    np.testing.assert_allclose(evaluate.remaining(evaluate.Moments(logits_NL, truth)), 0, atol=1e-5)


def test_performances_are_kept(tmp_path: Path) -> None:
    save_performed(SQUATS, tmp_path / "some.npz")
    kept = load_performed(tmp_path / "some.npz")
    np.testing.assert_allclose(kept[1].points_TK3, SQUATS[1].points_TK3, atol=2e-3)
    np.testing.assert_array_equal(kept[2].active_TF, SQUATS[2].active_TF)
    assert [len(each.phase_T) for each in kept] == [len(each.phase_T) for each in SQUATS]


def sequences() -> list[Recorded]:
    """Squats of two sources, the wrong ones with knees that cave in."""
    rng, found = np.random.default_rng(4), []
    for number, each in enumerate(SQUATS):
        keypoints_TK3 = film(each, rng, augmented=False).found_TK3
        found.append(Recorded(each.exercise, number % 3 > 0, f"room{number % 2}", str(number), keypoints_TK3))
    return found


def test_training_learns_stops_and_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    config = FormConfig(rounds=8, performances=6, passes=1, batch_size=12, recorded_sequences=4, recorded_windows=2)
    whole = train_form(config, SQUATS, sequences(), tmp_path / "whole", quiet=True)
    losses = (tmp_path / "whole" / "losses.jsonl").read_text().splitlines()
    assert len(losses) == 8
    begun = train_form(config, SQUATS, sequences(), tmp_path / "begun", quiet=True, stop_after=3)
    assert any(not torch.equal(begun[name], whole[name]) for name in whole)
    resumed = train_form(config, SQUATS, sequences(), tmp_path / "begun", quiet=True)
    assert all(torch.allclose(resumed[name].float(), whole[name].float(), atol=1e-5) for name in whole)
    with pytest.raises(InvalidCheckpoint, match="another run"):
        train_form(replace(config, seed=1), SQUATS, [], tmp_path / "begun", quiet=True)


def asked(out: Path, **options: Path | None) -> Namespace:
    """What plumbline-train-form was asked for, with the squats as its performances."""
    (out / "performed").mkdir(parents=True, exist_ok=True)
    save_performed(SQUATS, out / "performed/11-00000-6.npz")
    paths: dict[str, Path | None] = {"recorded": None, "errors": None, "test_errors": None, "init": None}
    return Namespace(out=out, performances=6, quiet=True, **(paths | options))


def test_other_data_is_another_run_and_stands_in_the_lineage(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", squat__wrong__here__one=np.ones((5, 17, 3)))
    save_error_tracks([a_track()] * 5, tmp_path / "errors.npz")
    first = read_data(asked(tmp_path, recorded=tmp_path / "mine.npz"))
    net = FormNet(96).state_dict()
    save_atomically({"net": net, "datasets": first.datasets}, tmp_path / "form.pt")
    then = read_data(asked(tmp_path, errors=tmp_path / "errors.npz", init=tmp_path / "form.pt"))
    assert [each["id"] for each in then.datasets] == ["rendered-form-11", "rendered-pose-errors", "mine"]
    assert then.learnt is not None
    assert then.measured is None
    assert then.initial is not None
    assert len({first.part("x"), then.part("x"), then.part("y"), read_data(asked(tmp_path)).part("x")}) == 4
    config = FormConfig(rounds=1, performances=2, batch_size=8, data=first.part("rendered"))
    weights = train_form(config, SQUATS, [], tmp_path / "run", then.initial, quiet=True)
    assert weights["stem.weight"].shape[0] == 96, "it goes on with the width that the weights have"
    with pytest.raises(InvalidCheckpoint, match="another run"):
        train_form(replace(config, data=then.part("rendered")), SQUATS, [], tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    "layer",
    [
        FrameConv(6, 4, (5, 1), stride=(2, 1), padding=(2, 0)),
        FrameConv(6, 4, (3, 1), padding=(4, 0), dilation=(4, 1)),
        FrameConv(6, 4, 1),
    ],
)
def test_a_layer_learns_the_convolution_that_is_converted(layer: FrameConv) -> None:
    x_NCW1 = torch.randn(3, 6, 40, 1, generator=torch.Generator().manual_seed(0))
    y_NCW1 = layer(x_NCW1)
    assert layer.training
    torch.testing.assert_close(
        y_NCW1,
        torch.nn.functional.conv2d(x_NCW1, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation),
    )
    torch.testing.assert_close(y_NCW1, layer.eval()(x_NCW1))


@pytest.mark.parametrize("kept_bytes", [0, 2000])
def test_damaged_performances_are_named(tmp_path: Path, kept_bytes: int) -> None:
    arguments = asked(tmp_path)
    path = tmp_path / "performed/11-00000-6.npz"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(InvalidDataset, match="delete it"):
        read_data(arguments)


def test_shipped_weights_can_be_gone_on_with() -> None:
    net, state = load_form(Path(__file__).resolve().parents[2] / "models/form-judge.pt")
    assert len(state["thresholds"]) == len(FAULT_NAMES)
    assert net(torch.zeros(1, CHANNELS, WINDOW_FRAMES, 1)).shape == (1, LOGITS, 1, 1)


def test_every_figure_is_a_number(tmp_path: Path) -> None:
    moments = evaluate.ask(FormNet().eval(), SQUATS, seed=3)
    figures = evaluate.summary(moments, evaluate.best_thresholds(moments))
    assert all(0 <= value <= 1 and n > 0 for value, n in figures.values())
    assert moments.truth.phase_N.min() >= 0
    assert len(moments.truth.phase_N) > LAG_FRAMES


def test_a_source_is_held_out_whole_and_single_sequences_where_there_is_one() -> None:
    several = sequences()
    one = [replace(each, exercise=0, source="studio") for each in several]
    for train, test in folds([*several, *one], 2):
        assert not {*train} & {*test}
        assert len({(several + one)[n].source for n in test if n < len(several)}) == 1
    tested = sorted(number for _, test in folds([*several, *one], 2) for number in test)
    assert tested == list(range(2 * len(several)))


def test_too_few_sequences_to_hold_out_are_refused_before_training() -> None:
    two = [replace(each, source="studio") for each in sequences()[:2]]
    with pytest.raises(InvalidDataset, match="all sequences of squat"):
        require_folds(two, 6)
    require_folds([*two, *two], 2)


def test_recorded_sequences_are_named_by_what_they_show(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", squat__wrong__here__one=np.zeros((5, 17, 3)))
    read = load_recorded(tmp_path / "good.npz")[0]
    assert (EXERCISES[read.exercise], read.wrong, read.source, read.name) == ("squat", True, "here", "one")
    np.savez(tmp_path / "bad.npz", squat__bad__here__one=np.zeros((5, 17, 3)))
    with pytest.raises(InvalidDataset, match="EXERCISE__LABEL__SOURCE__NAME"):
        load_recorded(tmp_path / "bad.npz")
    (tmp_path / "bad.npz").write_bytes(b"")
    with pytest.raises(InvalidDataset, match="no npz of sequences"):
        load_recorded(tmp_path / "bad.npz")


def test_what_is_not_seen_does_not_spread_a_recorded_sequence() -> None:
    seen = sequences()[0].keypoints_TK3 * (1, 1, 0) + (1500.0, 300.0, 1.0)
    for lost, value in ((3, 0.0), (9, np.nan)):
        missing = seen.copy()
        missing[:, lost] = (value, value, 0.0)
        known = [number for number in range(17) if number != lost]
        whole, parted = (
            varied_windows(replace(sequences()[0], keypoints_TK3=each), 4, np.random.default_rng(1)).reshape(
                4, -1, 17, 5
            )
            for each in (seen, missing)
        )
        assert np.isfinite(parted).all()
        difference = np.abs(parted[..., known, :2] - whole[..., known, :2])
        assert np.median(difference) < 0.02 < np.abs(whole[..., known, :2]).max()


def a_track(exercise: str = "squat", azimuth_degrees: float = 80.0) -> ErrorTrack:
    """A squat whose deepest pose is found a tenth of a torso length too high, and whose nose is not seen."""
    true_TK2 = SQUATS[0].points_TK3[..., [0, 2]].astype(float) * (100.0, -100.0)
    low_T = true_TK2[:, 11, 1] > np.median(true_TK2[:, 11, 1])
    found_TK3 = np.concatenate([true_TK2, np.full_like(true_TK2[..., :1], 0.9)], axis=-1)
    found_TK3[low_T, :, 1] -= 5.0
    found_TK3[:, 0, 2] = 0.1
    return error_track(exercise, azimuth_degrees, true_TK2, found_TK3, torso_px=50.0)


def test_errors_are_those_of_the_pose_and_not_of_the_moment() -> None:
    track = a_track()
    error_TK2, seen_TK = ErrorBank([track]).sample(track.exercise, 80.0, track.pose_BK2[::-1], np.random.default_rng(0))
    usual_B = track.error_BK2[::-1, 5, 1]
    assert usual_B.min() == pytest.approx(-0.1)
    assert np.corrcoef(error_TK2[:, 5, 1], usual_B)[0, 1] > 0.8
    assert not seen_TK[:, 0].any()
    assert seen_TK[:, 1:].all()


def test_errors_come_from_the_like_view_in_a_looking_glass_too() -> None:
    right, front = a_track(azimuth_degrees=-80.0), replace(a_track(azimuth_degrees=0.0), error_BK2=np.ones((1, 17, 2)))
    front = replace(front, pose_BK2=front.pose_BK2[:1], seen_BK=front.seen_BK[:1])
    bank, rng = ErrorBank([right, front]), np.random.default_rng(1)
    drawn = [bank.sample(right.exercise, 80.0, right.pose_BK2, rng)[0] for _ in range(20)]
    assert max(np.abs(error_TK2[..., 1]).max() for error_TK2 in drawn) < 0.5, "those of the front were taken"
    drawn = [bank.sample(right.exercise, 0.0, right.pose_BK2, rng)[0] for _ in range(20)]
    assert min(error_TK2[..., 1].min() for error_TK2 in drawn) == 1.0, "those of the side were taken"


def test_what_is_far_off_is_somebody_else_and_what_is_not_known_no_error() -> None:
    true_TK2, found_TK3 = np.zeros((3, 17, 2)), np.full((3, 17, 3), 10.0)
    true_TK2[0, 3], found_TK3[1, 4] = np.nan, 999.0
    track = error_track("plank", 0.0, true_TK2, found_TK3, torso_px=10.0)
    assert (track.error_BK2[0, 3] == 0).all()
    assert (track.error_BK2[1, 4] == 0).all()
    assert (~track.seen_BK).sum() == 2
    assert (track.error_BK2[2] == 1).all()
    np.testing.assert_array_equal(hip_centred(true_TK2, 10.0)[1], 0)


def test_error_tracks_are_kept(tmp_path: Path) -> None:
    tracks = [a_track(name) for name in ("squat",) * 5 + ("plank",) * 6]
    save_error_tracks(tracks, tmp_path / "errors.npz")
    kept = load_error_tracks(tmp_path / "errors.npz")
    np.testing.assert_allclose(kept[7].error_BK2, tracks[7].error_BK2, atol=1e-6)
    assert [each.exercise for each in kept] == [each.exercise for each in tracks]
    for content in (b"", b"nothing"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InvalidDataset, match="find_keypoints"):
            load_error_tracks(tmp_path / "bad.npz")
    with pytest.raises(InvalidDataset, match="more clips"):
        ErrorBank([])


def test_a_look_with_a_banks_errors_has_them_and_only_them() -> None:
    bank, rng = ErrorBank([a_track()]), np.random.default_rng(3)
    filmed = film(SQUATS[0], rng, augmented=False, bank=bank)
    off_TK2 = (filmed.found_TK3[..., :2] - filmed.true_TK2) / filmed.torso_px
    assert -0.21 < off_TK2[..., 1].min() < -0.05
    assert np.abs(off_TK2[..., 0]).max() < 1e-6
    batch = rendered_batch(SQUATS, rng, 4, bank)
    assert np.isfinite(batch.windows_NWC).all()


def test_true_offsets_leave_nothing_and_none_leave_all() -> None:
    wrong = SQUATS[1]
    batch = windows_of(wrong, film(wrong, np.random.default_rng(0), augmented=False), evaluate.moments_asked(wrong))
    true_NX = torch.from_numpy(batch.offsets_NK2).flatten(1)
    left_N, seen_N = what_is_left(true_NX, batch)
    assert seen_N.any()
    assert left_N.abs().max() < 1e-5
    untouched_N, _ = what_is_left(torch.zeros_like(true_NX), batch)
    torch.testing.assert_close(untouched_N, torch.from_numpy(batch.strength_N) * seen_N, atol=1e-4, rtol=1e-4)


def test_macro_f1_is_that_of_the_confusion_matrix() -> None:
    told, wrong = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 0], bool)
    # Of wrong: 1 found, 1 missed, 1 false: 1/2. Of right: 2 found, 1 and 1: 2/3.
    assert evaluate.macro_f1(told, wrong) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_threshold_parts_what_can_be_parted() -> None:
    logits, wrong = np.array([-3.0, -1.0, 0.5, 2.0]), np.array([False, False, True, True])
    assert evaluate.wrong_threshold(logits, wrong) == pytest.approx(-0.25)
    assert evaluate.wrong_threshold(logits, np.ones(4, bool)) < -3.0
