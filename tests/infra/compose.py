"""docker-compose.yml, up on a real engine for as long as a block lasts."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.infra.machine import LAB, ROOT, exclusive, free_port, require_root_and

DOCKER = ROOT / "infra/lab/docker.sh"
BUNDLE = Path(os.environ.get("PLUMBLINE_FLEET_BUNDLE", ROOT / "models/hrnet-edge-s"))
SERVICES = ("REGISTRY", "EDGE", "PROMETHEUS", "ALERTMANAGER")


@dataclass(frozen=True)
class Stack:
    """The running services, as reached from this machine, and the environment that docker compose needs."""

    registry: str
    edge: str
    prometheus: str
    alertmanager: str
    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        """Run docker compose. Raises AssertionError with what it said."""
        return compose(self.environment, *arguments)

    @property
    def operator(self) -> dict[str, str]:
        """An environment in which plumbline-registry may do everything."""
        return {**self.environment, "PLUMBLINE_REGISTRY_TOKEN": self.environment["PLUMBLINE_REGISTRY_WRITE_TOKEN"]}


def compose(environment: Mapping[str, str], *arguments: str) -> str:
    """What docker compose says. Raises AssertionError when it fails."""
    command = [str(DOCKER), "compose", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@contextlib.contextmanager
def up(images: str = "", build: Sequence[str] = (), **settings: str) -> Iterator[Stack]:
    """Bring the stack up healthy and down again; `build`: these profiles' images too, `settings`: environment."""
    require_root_and("dockerd", "docker", "iptables", "debootstrap")
    ports = {name: free_port("127.0.0.1") for name in SERVICES}
    environment = {
        **os.environ,
        **{f"{name}_PORT": str(port) for name, port in ports.items()},
        "COMPOSE_PROJECT_NAME": "plumbline-test",
        "DOCKER_CONFIG": str(LAB / "docker-config"),
        "PWD": str(ROOT),
        "EDGE_BUNDLE_DIR": str(BUNDLE),
        "PLUMBLINE_REGISTRY_WRITE_TOKEN": secrets.token_urlsafe(),
        **settings,
    }
    with exclusive("docker"):
        try:
            subprocess.run([str(DOCKER), "images", images], check=True)
            compose(environment, *(f"--profile={name}" for name in build), "build", "--quiet")
            try:
                compose(environment, "up", "--detach", "--wait", "--no-build", "--pull", "never")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{compose(environment, 'logs', '--tail', '20')}") from error
            registry, edge, prometheus, alertmanager = (f"http://127.0.0.1:{port}" for port in ports.values())
            yield Stack(registry, edge, prometheus, alertmanager, environment)
        finally:
            try:
                compose(environment, "down", "--volumes", "--timeout", "5")
            finally:
                subprocess.run([str(DOCKER), "stop"], check=True)
