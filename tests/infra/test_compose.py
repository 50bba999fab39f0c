"""docker-compose.yml on a real engine: the images build, all comes up healthy, and Prometheus has the edge's FPS."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.infra.machine import ROOT, exclusive, free_port, program, require_root_and, wait_for
from tests.infra.servers import query

pytestmark = pytest.mark.docker

DOCKER = ROOT / "infra/lab/docker.sh"
BUNDLE = Path(os.environ.get("PLUMBLINE_FLEET_BUNDLE", ROOT / "models/hrnet-edge-s"))


@dataclass(frozen=True)
class Stack:
    """The running services, as reached from this machine."""

    registry: str
    edge: str
    prometheus: str
    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        """Run docker compose. Raises CalledProcessError."""
        return _compose(self.environment, *arguments)


def _compose(environment: dict[str, str], *arguments: str) -> str:
    command = [str(DOCKER), "compose", "--project-name", "plumbline-test", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def _start(environment: dict[str, str]) -> None:
    try:
        _compose(environment, "up", "--detach", "--wait", "--no-build", "--pull", "never")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_compose(environment, 'logs', '--tail', '20')}") from error


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    require_root_and("dockerd", "docker", "iptables", "debootstrap")
    ports = {name: free_port("127.0.0.1") for name in ("REGISTRY", "EDGE", "PROMETHEUS")}
    environment = {
        **os.environ,
        **{f"{name}_PORT": str(port) for name, port in ports.items()},
        "EDGE_BUNDLE_DIR": str(BUNDLE),
        "PLUMBLINE_REGISTRY_WRITE_TOKEN": secrets.token_urlsafe(),
    }
    with exclusive("docker"):
        try:
            subprocess.run([str(DOCKER), "images"], check=True)
            _compose(environment, "build", "--quiet")
            _start(environment)
            registry, edge, prometheus = (f"http://127.0.0.1:{port}" for port in ports.values())
            yield Stack(registry, edge, prometheus, environment)
        finally:
            try:
                _compose(environment, "down", "--volumes", "--timeout", "5")
            finally:
                subprocess.run([str(DOCKER), "stop"], check=True)


def test_all_services_answer(stack: Stack) -> None:
    for url in (f"{stack.registry}/healthz", f"{stack.edge}/healthz", f"{stack.prometheus}/-/healthy"):
        assert httpx.get(url).status_code == 200, url


def test_prometheus_has_the_edges_fps(stack: Stack) -> None:
    fps = wait_for("the edge's FPS", lambda: query(stack.prometheus, "plumbline_edge_fps > 1"), 90)
    assert set(fps) == {"edge:8080"}
    wait_for("both targets to be up", lambda: query(stack.prometheus, "up") == {"edge:8080": 1, "registry:8100": 1})
    print(f"\nPrometheus: plumbline_edge_fps {fps}")


def test_registry_takes_a_bundle_and_keeps_it_over_a_restart(stack: Stack) -> None:
    environment = {**stack.environment, "PLUMBLINE_REGISTRY_TOKEN": stack.environment["PLUMBLINE_REGISTRY_WRITE_TOKEN"]}
    command = [program("plumbline-registry"), "publish", str(BUNDLE), "--url", stack.registry]
    subprocess.run(command, env=environment, check=True)
    stack.compose("restart", "--timeout", "5", "registry")
    wait_for("the registry", lambda: httpx.get(f"{stack.registry}/readyz").is_success)
    assert len(httpx.get(f"{stack.registry}/v1/bundles").json()["bundles"]) == 1


def test_images_hold_no_training_framework(stack: Stack) -> None:
    find = "import importlib.util as u; print([n for n in ('torch', 'tensorflow', 'pip') if u.find_spec(n)])"
    for service in ("edge", "registry"):
        assert stack.compose("exec", "--no-TTY", service, "python", "-c", find).strip() == "[]", service
        assert stack.compose("exec", "--no-TTY", service, "id", "-u").strip() == "10001", service


def test_sizes_are_told(stack: Stack) -> None:
    for image in ("plumbline/edge", "plumbline/registry"):
        shown = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Size}}", image], capture_output=True, text=True, check=True
        )
        size_mb = int(shown.stdout) / 1e6
        print(f"\n{image}: {size_mb:.0f} MB")
        assert size_mb < 700
