"""The whole path in containers: train, convert, publish, pull, and what Prometheus and Alertmanager make of it.

The registry keeps everything in PostgreSQL and an S3 server there, in two replicas behind nginx.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from infra.dataset_lock import lock_of, lock_path
from tests.infra.compose import Stack, compose, up
from tests.infra.machine import ROOT, wait_for
from tests.infra.servers import query_by

pytestmark = pytest.mark.containers

MakeDataset = Callable[[Path, int], Path]
REGISTRY = "http://nginx:8080"
NAME = "hrnet-tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("containers")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    names = ("runs", "keys", "data")
    for name in names:
        (folder / name).mkdir()
    settings = {f"{name.upper()}_DIR": str(folder / name) for name in names}
    settings |= {name: secrets.token_hex() for name in ("POSTGRES_PASSWORD", "S3_SECRET")}
    settings["COMPOSE_FILE"] = "docker-compose.yml:docker-compose.scale.yml"
    with up("scale", ["train", "convert"], **settings) as running:
        yield running


def test_a_model_goes_from_training_to_prometheus(stack: Stack, folder: Path, make_dataset: MakeDataset) -> None:
    data = make_dataset(folder / "data/made", 24)
    lock_path(data).write_text(json.dumps(lock_of(data, data.parent)))
    operate = ["run", "--rm", "--no-TTY", "--user=0:0", "operator"]
    compose(stack.operator, *operate, "init")

    options = ["--recipe", "tiny", "--precision", "fp32", "--version", "0.9.1", "--containers", "--data", data]
    places = ["--out", folder / "runs/0.9.1", "--registry", REGISTRY, "--keys", folder / "keys"]
    command = [sys.executable, "-m", "infra.retrain", *map(str, [*options, *places])]
    done = subprocess.run(command, cwd=ROOT, env=stack.operator, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stderr
    assert "Published, in dev and canary." in done.stdout

    _update(stack, folder / "keys/root.json", "--name", NAME, "--channel", "canary")
    again = {**stack.environment, "EDGE_BUNDLE": "/var/lib/plumbline/active"}
    compose(again, "up", "--detach", "--wait", "--no-build", "--pull", "never", "edge")
    running = (
        f'plumbline_edge_fps * on (instance) group_left (name, version) plumbline_edge_bundle_info{{name="{NAME}"}}'
    )
    seen = wait_for("its FPS", lambda: query_by(stack.prometheus, f"({running}) > 1", "name", "version"), 120)
    assert set(seen) == {(NAME, "0.9.1")}
    print(f"\nPrometheus: FPS of {seen}")
    trained = wait_for(
        "the training's textfile", lambda: query_by(stack.prometheus, "plumbline_training_epoch", "run", "bundle")
    )
    assert trained == {("0.9.1", NAME): 2}


def test_updates_that_fail_become_an_alert(stack: Stack, folder: Path) -> None:
    """The first failure begins a series, more within it make EdgeUpdatesFail fire, which waits for nothing."""
    nowhere = ["--registry", "http://nginx:1", "--name", NAME]
    failures = "plumbline_edge_update_failures_total"
    _update(stack, folder / "keys/root.json", *nowhere, expect=False)
    wait_for("the first failure", lambda: query_by(stack.prometheus, failures, "reason"))
    for _ in range(4):
        _update(stack, folder / "keys/root.json", *nowhere, expect=False)
    alerts: list[dict[str, Any]] = wait_for("the alert", lambda: _alerts(stack, "EdgeUpdatesFail"), 120)
    assert alerts[0]["receivers"] == [{"name": "page"}]
    assert alerts[0]["labels"]["reason"] == "registry_unavailable"


def test_blobs_are_in_s3_and_the_catalogue_in_postgresql(stack: Stack) -> None:
    ask = ["exec", "--no-TTY", "postgres", "psql", "--username=plumbline", "--tuples-only", "--no-align", "--command"]
    tables = stack.compose(*ask, "select count(*) from information_schema.tables where table_schema = 'public'")
    assert int(tables) > 3
    kept = stack.compose("exec", "--no-TTY", "registry", "find", "/srv/var/registry", "-type", "f", "-size", "+100k")
    assert kept.strip() == "", "the registry's own folder holds no blobs"
    assert len(stack.compose("ps", "--quiet", "registry").split()) == 2


def test_conversion_holds_no_torch_and_training_no_tensorflow(stack: Stack) -> None:
    for service, framework in (("convert", "torch"), ("train", "tensorflow")):
        find = f"import importlib.util as u; print(u.find_spec('{framework}'))"
        run = ["run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", service, "-c", find]
        assert stack.compose(*run).strip() == "None"


def test_sizes_are_told(stack: Stack) -> None:
    listed = subprocess.check_output(["docker", "image", "ls", "--format", "{{.Repository}} {{.Size}}"], text=True)
    ours = sorted(line for line in listed.splitlines() if line.startswith("plumbline/"))
    print("\n" + "\n".join(ours))
    parts = ("edge", "registry", "training", "conversion")
    assert {line.split()[0] for line in ours} >= {f"plumbline/{part}" for part in parts}


def _update(stack: Stack, root: Path, *options: str, expect: bool = True) -> None:
    """The edge's own updater, in its container, with the root that an operator gives it."""
    trust = "cat >/var/lib/plumbline/root.json"
    edge = ["exec", "--no-TTY", "edge"]
    command = [str(ROOT / "infra/lab/docker.sh"), "compose", *edge, "sh", "-c", trust]
    subprocess.run(command, input=root.read_bytes(), env=stack.environment, cwd=ROOT, check=True)
    update = ["plumbline-edge", "update", "--registry", REGISTRY, *options]
    if expect:
        print(stack.compose(*edge, *update))
    else:
        with pytest.raises(AssertionError, match="error: registry"):
            stack.compose(*edge, *update)


def _alerts(stack: Stack, name: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{stack.alertmanager}/api/v2/alerts", params={"filter": f"alertname={name}"})
    alerts: list[dict[str, Any]] = answer.raise_for_status().json()
    return alerts
