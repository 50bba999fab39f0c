"""The noise that is put into keypoints is the noise that is measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from infra.coach_eyes import keypoints_with_errors
from infra.find_keypoints import FOUND, Errors, error_track_of, errors_of, keep_bundle, main, noise_of
from tests.conftest import STANDING_K2

from plumbline_contract.form import RATE_HZ
from plumbline_edge.bundle import open_bundle
from plumbline_training.form.errors import ErrorBank, Noise


def test_noise_is_measured_as_it_was_put_in() -> None:
    put_in = Noise(constant=0.06, slow=0.02, slow_seconds=0.5, white=0.005)
    rng = np.random.default_rng(0)
    measured = noise_of([Errors(put_in.sample(300, 15.0, rng).astype(np.float64)) for _ in range(12)])
    assert measured.constant == pytest.approx(put_in.constant, rel=0.15)
    assert measured.slow == pytest.approx(put_in.slow, rel=0.2)
    # What changes slowly changes a little from frame to frame, too.
    assert put_in.white < measured.white < 2 * put_in.white


def test_errors_are_in_torso_lengths_and_of_visible_keypoints_alone() -> None:
    truth_TK3 = np.tile(np.concatenate([STANDING_K2 * 200, np.full((17, 1), 2)], axis=1), (3, 1, 1))
    torso = np.linalg.norm(truth_TK3[0, [5, 6], :2].mean(axis=0) - truth_TK3[0, [11, 12], :2].mean(axis=0))
    truth_TK3[:, 16, 2] = 1
    found_TK3 = truth_TK3.copy()
    found_TK3[..., 2] = 0.9
    found_TK3[..., 0] += torso / 10
    found_TK3[2, 4, 2] = 0
    errors = errors_of({"keypoints": truth_TK3.tolist()}, found_TK3)
    assert len(errors.distances) == 3 * 16 - 1
    assert errors.distances == pytest.approx(0.1)


def test_a_clip_seen_with_its_own_errors_is_as_it_was_found() -> None:
    """A hand that goes up and down and is found too low the higher it is, at another rate than the judge's."""
    frames, fps = 90, 15.0
    truth_TK3 = np.tile(np.concatenate([STANDING_K2 * 200, np.full((17, 1), 2)], axis=1), (frames, 1, 1))
    torso = np.linalg.norm(truth_TK3[0, [5, 6], :2].mean(axis=0) - truth_TK3[0, [11, 12], :2].mean(axis=0))
    up_T = torso * (1 - np.cos(np.arange(frames) / 15 * 2)) / 2
    truth_TK3[:, 9, 1] -= up_T
    found_TK3 = truth_TK3.copy()
    found_TK3[..., 2] = 0.9
    found_TK3[:, 9, 1] += 0.2 * up_T
    camera = {"azimuth_degrees": 90.0}
    clip = {"keypoints": truth_TK3.tolist(), "fps": fps, "exercise": "desk_sitting", "camera": camera}
    track = error_track_of(clip, found_TK3)
    assert len(track.pose_BK2) == frames / fps * RATE_HZ
    seen_TK3 = keypoints_with_errors(clip, ErrorBank([track]), seed=0)
    error_T = (seen_TK3[:, 9, 1] - truth_TK3[:, 9, 1]) / torso
    assert np.corrcoef(error_T, up_T)[0, 1] > 0.9
    assert np.abs(error_T - 0.2 * up_T / torso).max() < 0.08
    assert np.abs(seen_TK3[:, :9, :2] - truth_TK3[:, :9, :2]).max() < 1e-6


def test_keypoints_of_another_bundle_are_not_taken_for_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clip is not looked at: its keypoints were found before."""
    truth_TK3 = np.tile(np.concatenate([STANDING_K2 * 200, np.full((17, 1), 2)], axis=1), (30, 1, 1))
    clip = {"keypoints": truth_TK3.tolist(), "fps": 15.0, "exercise": "desk_sitting", "video": "gone.mp4"}
    clips, found, bundle = tmp_path / "clips", tmp_path / "found", Path(__file__).parents[1] / "edge/data/dots-fp32"
    clips.mkdir()
    found.mkdir()
    (clips / "desk_1.json").write_text(json.dumps({**clip, "camera": {"azimuth_degrees": 90.0}}))
    keep_bundle(found, open_bundle(bundle).manifest_sha256)
    np.save(found / "desk_1.npy", truth_TK3 + np.random.default_rng(0).normal(0, 0.5, truth_TK3.shape))
    monkeypatch.setattr(sys, "argv", ["find_keypoints", str(clips), str(found), "--bundle", str(bundle)])
    main()
    assert "1 clips: median error" in capsys.readouterr().out

    (found / FOUND).write_text(json.dumps({"manifest_sha256": "0" * 64}))
    with pytest.raises(SystemExit):
        main()
    assert f"of the bundle of manifest '{'0' * 64}'" in capsys.readouterr().err
    (found / FOUND).unlink()
    with pytest.raises(SystemExit):
        main()
    assert "of a bundle that it does not name" in capsys.readouterr().err
