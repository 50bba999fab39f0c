"""The registry hears how each update ended, and an update does not depend on being heard."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.edge.bundles import copy_bundle, spoil_golden
from tests.edge.http_fixtures import FakeRegistry, fake_registry

from plumbline_edge.cli import main
from plumbline_edge.journal import read_journal
from plumbline_edge.state import StateFolder

JUDGE = Path(__file__).parents[2] / "models" / "form-judge"


def run(registry: FakeRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> int:
    (folder / "root.json").write_bytes(registry.repository.anchor)
    (folder / "token").write_text(f"{token}\n")
    monkeypatch.setenv("PLUMBLINE_EDGE_DEVICE", "pi-07")
    monkeypatch.setenv("PLUMBLINE_EDGE_DEVICE_TOKEN_FILE", str(folder / "token"))
    command = ["update", "--registry", registry.url, "--root", str(folder / "root.json"), "--name", "dots"]
    return main([*command, "--state", str(folder / "state")])


def test_success_and_failure_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_registry() as registry:
        digest = registry.give(copy_bundle(tmp_path / "good"))
        assert run(registry, tmp_path, monkeypatch, "right") == 0
        registry.give(spoil_golden(copy_bundle(tmp_path / "bad", version="2.0.0")))
        assert run(registry, tmp_path, monkeypatch, "right") == 2
    assert [(path, token) for path, token, _ in registry.reports] == [("/v1/devices/pi-07", "Bearer right")] * 2
    good, bad = (content for _, _, content in registry.reports)
    assert good == {
        "name": "dots",
        "channel": "stable",
        "outcome": "ok",
        "message": "",
        "version": "1.0.0",
        "manifest_sha256": digest,
    }
    assert (bad["outcome"], bad["version"]) == ("golden_mismatch", "1.0.0")
    assert "on this device heatmaps differ" in bad["message"]


def test_a_judge_that_fails_is_reported_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, after both: the pose model's success alone would say that all is well."""
    monkeypatch.setenv("PLUMBLINE_EDGE_JUDGE_NAME", "form-judge")
    with fake_registry() as registry:
        digest = registry.give(copy_bundle(tmp_path / "good"))
        assert run(registry, tmp_path, monkeypatch, "right") == 2
        registry.give(JUDGE, name="form-judge")
        assert run(registry, tmp_path, monkeypatch, "right") == 0
    bad, good = (content for _, _, content in registry.reports)
    assert (bad["name"], bad["outcome"], bad["manifest_sha256"]) == ("dots", "channel_empty", digest)
    assert bad["message"].startswith("form-judge: ")
    assert "judge_name" not in bad
    assert (good["outcome"], good["message"]) == ("ok", "")
    manifest = (JUDGE / "manifest.json").read_bytes()
    assert {name: value for name, value in good.items() if name.startswith("judge_")} == {
        "judge_name": "form-judge",
        "judge_version": json.loads(manifest)["version"],
        "judge_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    assert read_journal(tmp_path / "state" / "judge").failures == {"channel_empty": 1}


def test_a_pose_model_that_is_refused_does_not_keep_the_judge_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_EDGE_JUDGE_NAME", "form-judge")
    with fake_registry() as registry:
        registry.give(spoil_golden(copy_bundle(tmp_path / "bad")))
        assert run(registry, tmp_path, monkeypatch, "right") == 2
        errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        digest = registry.give(JUDGE, name="form-judge")
        assert run(registry, tmp_path, monkeypatch, "right") == 2
    assert ["form-judge" in error for error in errors] == [True, False]
    assert StateFolder(tmp_path / "state" / "judge").active_sha256() == digest
    outcomes = [content["outcome"] for _, _, content in registry.reports]
    assert outcomes == ["channel_empty", "golden_mismatch", "known_bad"]


def test_report_that_is_refused_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with fake_registry() as registry:
        registry.give(copy_bundle(tmp_path / "good"))
        assert run(registry, tmp_path, monkeypatch, token="wrong") == 0
    assert "warning: not reported: " in capfd.readouterr().err


def test_device_without_its_token_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_EDGE_DEVICE", "pi-07")
    assert main(["update", "--state", str(tmp_path)]) == 2
    assert "device token 'device.token' cannot be read" in capfd.readouterr().err
