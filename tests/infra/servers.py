"""A registry and a Prometheus, run for real."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.infra.machine import ROOT, free_port, program, running, wait_for


@dataclass(frozen=True)
class Registry:
    """A registry that the Pis reach, and the means to write to it."""

    url: str
    token_file: Path
    keys: Path

    def publish(self, bundle: Path, name: str, version: str, channel: str) -> None:
        """Publish a bundle folder and point a channel to it."""
        connection = ["--url", self.url, "--token-file", str(self.token_file)]
        cli = program("plumbline-registry")
        subprocess.run([cli, "publish", str(bundle), *connection], check=True)
        promotion = ["promote", name, version, channel, "--reason", "fleet test", "--keys", str(self.keys)]
        subprocess.run([cli, *promotion, *connection], check=True)


@contextlib.contextmanager
def registry_at(folder: Path, address: str) -> Iterator[Registry]:
    """A registry with its files in `folder`, listening on `address`."""
    folder.mkdir()
    cli, port = program("plumbline-registry"), free_port(address)
    scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
    token = subprocess.run([cli, "token", *scopes], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "token").write_text(token)
    with running([cli, "serve", "--host", address, "--port", str(port)], folder / "log", cwd=folder):
        url = f"http://{address}:{port}"
        wait_for("the registry", lambda: httpx.get(f"{url}/readyz").is_success)
        connection = ["--url", url, "--token-file", str(folder / "token")]
        subprocess.run([cli, "init", "--keys", str(folder / "keys"), *connection], check=True)
        yield Registry(url, folder / "token", folder / "keys")


@contextlib.contextmanager
def prometheus_at(folder: Path, edges: list[str], registry: str) -> Iterator[str]:
    """A Prometheus with the repository's configuration and these targets; yields its address."""
    shutil.copytree(ROOT / "infra/prometheus", folder)
    (folder / "targets/edge.yml").write_text(f"- targets: {edges}\n")
    (folder / "targets/registry.yml").write_text(f"- targets: [{registry}]\n")
    port = free_port("127.0.0.1")
    flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with running(["prometheus", *flags, f"--web.listen-address=127.0.0.1:{port}"], folder / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_for("Prometheus", lambda: httpx.get(f"{url}/-/ready").is_success)
        yield url


def query(prometheus: str, expression: str) -> dict[str, float]:
    """An instant query: instance -> value."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}).raise_for_status().json()
    return {sample["metric"].get("instance", ""): float(sample["value"][1]) for sample in answer["data"]["result"]}
