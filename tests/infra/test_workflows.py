"""The workflows, really run by act on this machine: CI for one part, retraining up to canary and the gates, deploying.

Steps run on this machine itself, in a copy of this checkout that act makes in place of actions/checkout, the only
action that is not ours. They use this environment, which is there already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from infra.dataset_lock import lock_of, lock_path
from tests.e2e.registry_process import serving_registry
from tests.infra.machine import ROOT, program

pytestmark = pytest.mark.act

MakeDataset = Callable[[Path, int], Path]
ACT = ROOT / "var/act/bin/act"
PICTURES = 48
LEARNS = "64x64:40"
"""Enough for an AP that one epoch does not reach."""


def act(event: str, job: str, *options: str) -> tuple[int, str]:
    """Run one job and those that it needs; the exit code and what act printed."""
    platforms = [f"--platform={label}=-self-hosted" for label in ("ubuntu-24.04", "self-hosted", "gpu", "fleet")]
    command = [str(ACT), event, "--job", job, "--action-offline-mode", *platforms, *options]
    with tempfile.TemporaryDirectory() as folder:
        # roll-out looks for its program below the checkout, which act puts where it likes.
        top = "../" * 32 if job == "deploy" else "/"
        command += ["--env", f"VENV={top}{environment_in(Path(folder)).relative_to('/')}"]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    print(done.stdout[-6000:])
    return done.returncode, done.stdout


def environment_in(folder: Path) -> Path:
    """This environment under a name of its own, and younger than the copy's files: make must not install it anew."""
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".ready":
            (folder / entry.name).symlink_to(entry)
    (folder / ".ready").touch()
    tomorrow = time.time() + 86400
    os.utime(folder / ".ready", (tomorrow, tomorrow))
    return folder


def test_ci_tests_the_parts_that_changed(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": "HEAD"}))
    code, said = act("push", "changes", "--eventpath", str(event))
    assert code == 0
    assert "parts=[]" in said
    event.write_text(json.dumps({"before": "0" * 40}))
    matrix = ["--matrix", "part:contract", "--env", "PYTEST_ARGS=-q"]
    code, said = act("push", "part", "--eventpath", str(event), *matrix)
    assert code == 0
    assert " passed" in said


@pytest.mark.parametrize(("job", "expected"), [("lint", "files already formatted"), ("demo", "summary reps=")])
def test_ci_lints_and_shows_the_demo(job: str, expected: str) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    code, said = act("push", job, *(["--matrix", f"python:{python}"] if job == "demo" else []))
    assert code == 0
    assert expected in said


@contextmanager
def registry_with_keys(folder: Path) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """A registry with its keys in folder/keys: its URL, the environment of its operator, the secrets for act."""
    state, keys = folder / "registry", folder / "keys"
    state.mkdir()
    with serving_registry(state) as url:
        scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
        registry = [program("plumbline-registry")]
        token = subprocess.check_output(
            [*registry, "token", *scopes, "--tokens-file", str(state / "tokens.json")], text=True
        ).split()[0]
        environment = {**os.environ, "PLUMBLINE_REGISTRY_TOKEN": token}
        subprocess.run([*registry, "init", "--url", url, "--keys", str(keys)], env=environment, check=True)
        secrets = [f"--secret=PLUMBLINE_REGISTRY_TOKEN={token}", f"--secret=PLUMBLINE_CHANNEL_KEYS_DIR={keys}"]
        yield url, environment, secrets


@pytest.fixture
def retrain(make_dataset: MakeDataset, tmp_path: Path) -> Iterator[Callable[[int, str], tuple[int, str]]]:
    """Dispatches retrain.yml with a number of the run and stages, as the runner that holds the keys has it set up."""
    data = make_dataset(tmp_path / "data", PICTURES)
    lock_path(data).write_text(json.dumps(lock_of(data, data.parent)))
    with registry_with_keys(tmp_path) as (url, _, secrets):
        known = {"RUNS": tmp_path / "runs", "DATA": data, "DATA_ROOT": data.parent, "REGISTRY": url}
        options = [f"--var=PLUMBLINE_{name}={value}" for name, value in known.items()]
        options += secrets

        def dispatch(number: int, stages: str) -> tuple[int, str]:
            inputs = [f"--input={item}" for item in ("recipe=tiny", "precision=fp32", f"stages={stages}")]
            # One thread is fastest for so small a net.
            settings = [f"--env=GITHUB_RUN_NUMBER={number}", "--env=OMP_NUM_THREADS=1"]
            return act("workflow_dispatch", "retrain", *options, *inputs, *settings)

        yield dispatch


def test_a_good_model_reaches_canary_a_worse_one_and_changed_data_are_stopped(
    retrain: Callable[[int, str], tuple[int, str]], tmp_path: Path
) -> None:
    code, said = retrain(1, LEARNS)
    assert code == 0
    assert "Published, in dev and canary." in said

    code, said = retrain(2, "64x64:1")
    assert code != 0
    assert "Stopped by the gates, in dev." in said
    assert "ap: -0." in said, "the run says by how much it is worse"
    assert "against hrnet-tiny 0.5.1" in said

    labels = tmp_path / "data/person_keypoints.json"
    labels.write_text(labels.read_text().replace("person", "Person", 1))
    code, said = retrain(3, "64x64:1")
    assert code != 0
    assert "the data are not those that the repository knows" in said
    assert not (tmp_path / "runs/0.5.3/run").exists()

    lock = [sys.executable, "-m", "infra.dataset_lock", str(tmp_path / "data/data.yaml")]
    assert subprocess.run(lock, cwd=ROOT, check=False).returncode == 1
    subprocess.run([*lock, "--write"], cwd=ROOT, check=True)
    subprocess.run(lock, cwd=ROOT, check=True)


def test_only_what_canary_gives_is_promoted_and_rolled_out(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("{all: {children: {edge: {}}}}")
    shipped = ROOT / "models/hrnet-edge-s"
    version = json.loads((shipped / "manifest.json").read_bytes())["version"]
    with registry_with_keys(tmp_path) as (url, environment, secrets):
        known = [f"--var=PLUMBLINE_REGISTRY={url}/", f"--var=PLUMBLINE_INVENTORY={inventory}"]

        def registry(*arguments: object) -> None:
            command = [program("plumbline-registry"), *map(str, arguments), "--url", url]
            subprocess.run(command, env=environment, check=True)

        def deploy(version: str) -> tuple[int, str]:
            inputs = ["--input=bundle=hrnet-edge-s", f"--input=version={version}"]
            return act("workflow_dispatch", "deploy", *known, *secrets, *inputs)

        def stable() -> httpx.Response:
            return httpx.get(f"{url}/v1/bundles/hrnet-edge-s/channels/stable")

        registry("publish", shipped)
        code, said = deploy(version)
        assert code != 0
        assert "the registry does not say what canary gives of hrnet-edge-s" in said
        registry("promote", "hrnet-edge-s", version, "canary", "--reason", "a test", "--keys", tmp_path / "keys")
        code, said = deploy("9.9.9")
        assert code != 0
        assert f"canary gives hrnet-edge-s '{version}', not 9.9.9" in said
        assert stable().status_code == 404

        code, said = deploy(version)
        assert code == 0
        assert stable().json()["version"] == version
        assert said.index("Promote to stable") < said.index("PLAY [Report]")
