"""A service with a judge: which one is chosen, what it changes, and that without one nothing is different."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.edge.bundles import copy_bundle
from tests.edge.coach.squatter import Squat, film
from tests.edge.http_fixtures import fake_registry

from plumbline_contract.errors import DigestMismatch, InvalidManifest
from plumbline_edge.bundle import open_bundle, open_form_bundle, replay_form_golden
from plumbline_edge.cli import main
from plumbline_edge.coach import Coach, load_exercise
from plumbline_edge.coach.judge import LEAST_FRAMES
from plumbline_edge.errors import BundleUnusable, GoldenMismatch
from plumbline_edge.health import HealthWatch
from plumbline_edge.judging import RunningJudge, load_judging
from plumbline_edge.settings import load_settings
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import JudgeUpdate

JUDGE = Path(__file__).parents[2] / "models" / "form-judge"


def activate(state: StateFolder, digest: str) -> None:
    """Put the shipped judge into the state folder under this digest."""
    with state.locked():
        shutil.copytree(JUDGE, state.bundle_folder(digest))
        state.activate(digest)


def test_without_a_judge_there_is_none(tmp_path: Path) -> None:
    assert load_judging(load_settings(state=tmp_path)) is None
    assert load_judging(load_settings(state=tmp_path, judge=JUDGE, use_judge=False)) is None


def test_the_judge_named_is_before_the_active_one(tmp_path: Path) -> None:
    settings = load_settings(state=tmp_path)
    activate(StateFolder(settings.judge_state), open_form_bundle(JUDGE).manifest_sha256)
    active = load_judging(settings)
    named = load_judging(load_settings(state=tmp_path, judge=JUDGE, use_rules=False))
    assert active is not None
    assert active.bundle.folder != JUDGE
    assert active.rules
    assert named is not None
    assert named.bundle.folder == JUDGE
    assert not named.rules


def test_a_spoilt_judge_of_the_state_folder_leaves_the_rules_alone_and_a_named_one_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.judging.warn", warnings.append)
    settings = load_settings(state=tmp_path)
    state = StateFolder(settings.judge_state)
    activate(state, "spoilt")
    edit(state.active, spec={"faults": [["squat", "of_another_contract"]]})
    running = RunningJudge(settings)
    assert running.begun_with is None
    assert running.follow() is None
    (warning,) = warnings
    assert warning.startswith("the active judge cannot be used, the rules are heard alone: ")
    with pytest.raises(InvalidManifest):
        RunningJudge(load_settings(state=tmp_path, judge=state.active))


def test_a_spoilt_judge_that_is_brought_again_whole_is_heard(tmp_path: Path) -> None:
    settings = load_settings(state=tmp_path)
    state, digest = StateFolder(settings.judge_state), open_form_bundle(JUDGE).manifest_sha256
    activate(state, digest)
    (state.active / "model.tflite").write_bytes(b"damaged")
    running = RunningJudge(settings)
    assert running.begun_with is None
    assert running.follow() is None
    state.keep(shutil.copytree(JUDGE, state.incoming_folder("again"), dirs_exist_ok=True), digest)
    assert running.follow() is not None
    state.keep(shutil.copytree(JUDGE, state.incoming_folder("again"), dirs_exist_ok=True), digest)
    assert running.follow() is None


def test_the_shipped_judge_computes_here_what_it_did_when_it_was_made() -> None:
    bundle = open_form_bundle(JUDGE)
    assert replay_form_golden(bundle, bundle.load_model()) <= bundle.manifest.golden.probability_max_abs


def test_a_judge_and_a_pose_model_are_not_taken_for_each_other() -> None:
    with pytest.raises(InvalidManifest):
        open_bundle(JUDGE)
    with pytest.raises(InvalidManifest):
        open_form_bundle(JUDGE.parent / "hrnet-edge-s")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda folder: (folder / "model.tflite").write_bytes(b"other"), DigestMismatch),
        (lambda folder: (folder / "golden.npz").unlink(), BundleUnusable),
        (lambda folder: edit(folder, spec={"faults": [["squat", "of_another_contract"]]}), InvalidManifest),
    ],
)
def test_a_spoilt_judge_is_refused(tmp_path: Path, change: object, error: type[Exception]) -> None:
    folder = tmp_path / "judge"
    shutil.copytree(JUDGE, folder)
    assert callable(change)
    change(folder)
    with pytest.raises(error):
        open_form_bundle(folder)


def edit(folder: Path, **changes: object) -> None:
    """Write other values into the manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_judge_that_answers_otherwise_than_it_did_is_refused(tmp_path: Path) -> None:
    bundle = open_form_bundle(JUDGE)

    class Other:
        """The same judge, a little surer."""

        def infer(self, window_WC: np.ndarray) -> np.ndarray:
            return bundle.load_model().infer(window_WC) + np.float32(1.5)

    with pytest.raises(GoldenMismatch, match="probabilities differ"):
        replay_form_golden(bundle, Other())


def test_a_coach_with_a_judge_follows_a_clip(tmp_path: Path) -> None:
    judging = load_judging(load_settings(state=tmp_path, judge=JUDGE))
    assert judging is not None
    squat = load_exercise("squat")
    alone, both = Coach(squat), Coach(squat, agreement=judging.agreement(squat))
    clip, verdicts = film([Squat()] * 4, "side", 15.0), 0
    for seconds, keypoints_K3 in zip(clip.times_seconds_T.tolist(), clip.keypoints_TK3, strict=True):
        verdict = judging.judge.update(seconds, keypoints_K3)
        verdicts += verdict is not None
        alone.update(seconds, keypoints_K3)
        both.update(seconds, keypoints_K3, verdict)
    assert verdicts == pytest.approx(10 * clip.times_seconds_T[-1] - LEAST_FRAMES, abs=2)
    assert (both.state.reps, both.state.fault_counts) == (alone.state.reps, alone.state.fault_counts)


def test_an_update_brings_the_judge_beside_the_pose_model(tmp_path: Path) -> None:
    """One registry, one signature chain, two models: each in a folder of its own, each with its own link."""
    with fake_registry() as registry:
        registry.give(copy_bundle(tmp_path / "dots"))
        digest = registry.give(JUDGE, name="form-judge")
        anchor, state = tmp_path / "root.json", tmp_path / "state"
        anchor.write_bytes(registry.repository.anchor)
        settings = load_settings(state=state)
        following = RunningJudge(settings)
        assert following.begun_with is None
        command = ["update", "--registry", registry.url, "--root", str(anchor), "--name", "dots", "--state", str(state)]
        assert main([*command, "--judge-name", "form-judge"]) == 0
        assert StateFolder(settings.judge_state).active_sha256() == digest
        assert StateFolder(state).active_sha256() not in (None, digest)
        assert following.follow() is not None
        assert following.follow() is None


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("begun_with", "where", "left"),
    [
        (None, (JudgeUpdate, "run"), "activated before: dots; nothing else was changed"),
        ("1.0.0", (JudgeUpdate, "run"), "nothing was changed"),
        (None, (HealthWatch, "watch"), "dots is active and on trial, which the next update goes on with"),
    ],
)
def test_an_interrupted_update_says_what_it_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    begun_with: str | None,
    where: tuple[type, str],
    left: str,
) -> None:
    with fake_registry() as registry:
        registry.give(copy_bundle(tmp_path / "dots"))
        anchor, state = tmp_path / "root.json", tmp_path / "state"
        anchor.write_bytes(registry.repository.anchor)
        command = ["update", "--registry", registry.url, "--root", str(anchor), "--name", "dots", "--state", str(state)]
        if begun_with is not None:
            assert main(command) == 0
        monkeypatch.setattr(*where, interrupted)
        watched = ["--health-url", registry.url] if where[0] is HealthWatch else []
        assert main([*command, *watched, "--judge-name", "form-judge"]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == f"error: interrupted; {left}"
    assert StateFolder(state).active_sha256() is not None
