"""What the fleet test runs: stand-in Pis, a registry and a Prometheus, each started for real and stopped at the end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
PI = ROOT / "infra/lab/pi.sh"
HOST_IP = "10.79.0.1"
PI_PYTHON = "3.11"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plumbline"
LOCKS = Path(os.environ.get("PLUMBLINE_FLEET_LOCKS", ROOT / "requirements"))
LAB = Path(os.environ.get("PLUMBLINE_LAB") or CACHE / "lab")
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def program(name: str) -> str:
    """A program beside this Python, else on the PATH. Fails loudly: a check that can't run is no pass."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; see infra/README.md for what the infrastructure tests need"
    return found


def require_root_and(*names: str) -> None:
    """Fail with everything that is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    assert not missing, f"missing programs: {', '.join(missing)}; see infra/README.md for their packages"
    assert os.geteuid() == 0, "the lab makes namespaces, mounts and root filesystems; run it as root"


def wait_for(what: str, condition: Callable[[], Any], timeout_seconds: float = 60) -> Any:
    """The first true value of `condition`; connection errors count as not yet."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if value := condition():
                return value
        time.sleep(0.5)
    raise AssertionError(f"waited {timeout_seconds:.0f} s in vain for {what}")


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(arguments: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server for as long as the block lasts; its output goes to `log`."""
    with log.open("wb") as output, subprocess.Popen(arguments, stdout=output, stderr=output, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass(frozen=True)
class Pi:
    """One stand-in Pi."""

    name: str
    ip: str

    @property
    def url(self) -> str:
        return f"http://{self.ip}:8080"

    def ssh(self, command: str) -> str:
        """Run a command on it. Raises CalledProcessError."""
        done = subprocess.run([str(PI), "ssh", self.name, command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def copy(self, file: Path, path: str) -> None:
        """Put a file there, readable by all."""
        with file.open("rb") as content:
            command = f"sudo install -D -m 644 /dev/stdin {path}"
            subprocess.run([str(PI), "ssh", self.name, command], stdin=content, check=True)

    def metric(self, name: str) -> float:
        """The value of a metric without labels, from outside."""
        found = re.search(rf"^{name} (\S+)$", self.metrics(), re.MULTILINE)
        assert found, f"{self.url}/metrics has no {name}"
        return float(found[1])

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics").raise_for_status().text

    def bundle_version(self) -> str:
        found = re.search(r'plumbline_edge_bundle_info\{[^}]*version="([^"]+)"', self.metrics())
        assert found, f"{self.url}/metrics names no bundle"
        return found[1]

    def is_silent(self) -> bool:
        try:
            httpx.get(f"{self.url}/healthz", timeout=2)
        except httpx.TransportError:
            return True
        return False

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz").status_code == 200


@contextlib.contextmanager
def booted(*pis: Pi) -> Iterator[None]:
    """The Pis, booted from the cached root filesystem and gone afterwards with all that was written to them."""
    subprocess.run([str(PI), "down-all"], check=True)
    try:
        for pi in pis:
            subprocess.run([str(PI), "up", pi.name, pi.ip], check=True)
        yield
    finally:
        subprocess.run([str(PI), "down-all"], check=True)


@dataclass(frozen=True)
class Registry:
    """A registry that the Pis reach, and the means to write to it."""

    url: str
    token_file: Path

    def publish(self, bundle: Path, name: str, version: str, channel: str) -> None:
        """Publish a bundle folder and point a channel to it."""
        connection = ["--url", self.url, "--token-file", str(self.token_file)]
        cli = program("plumbline-registry")
        subprocess.run([cli, "publish", str(bundle), *connection], check=True)
        promotion = ["promote", name, version, channel, "--reason", "fleet test"]
        subprocess.run([cli, *promotion, *connection], check=True)


@contextlib.contextmanager
def registry_at(folder: Path) -> Iterator[Registry]:
    """A registry with its files in `folder`, listening on the lab's network."""
    folder.mkdir()
    cli, port = program("plumbline-registry"), free_port(HOST_IP)
    token = subprocess.run([cli, "token"], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "token").write_text(token)
    with running([cli, "serve", "--host", HOST_IP, "--port", str(port)], folder / "log", cwd=folder):
        url = f"http://{HOST_IP}:{port}"
        wait_for("the registry", lambda: httpx.get(f"{url}/readyz").is_success)
        yield Registry(url, folder / "token")


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


def wheelhouse() -> Path:
    """Wheels of all that the edge needs on the stand-in Pi, downloaded once for each state of the lock."""
    lock = LOCKS / f"edge-py{PI_PYTHON.replace('.', '')}.txt"
    folder = CACHE / f"wheelhouse-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        chosen = [
            "--only-binary=:all:",
            f"--python-version={PI_PYTHON}",
            "--requirement",
            str(lock),
            "--dest",
            str(part),
        ]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *chosen], check=True)
        part.rename(folder)
    return folder


@dataclass(frozen=True)
class Run:
    """How a run of the playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> dict[str, int]:
        """Host -> tasks that changed something."""
        return {host: int(changed) for host, _, changed, _, _ in _RECAP.findall(self.output)}

    @property
    def failed(self) -> dict[str, int]:
        """Host -> tasks that failed."""
        return {host: int(failed) for host, _, _, _, failed in _RECAP.findall(self.output)}


def deploy(inventory: Path, *arguments: str) -> Run:
    """Run deploy.yml as an operator would, from its folder."""
    begun = time.monotonic()
    done = subprocess.run(
        [program("ansible-playbook"), "-i", str(inventory), "deploy.yml", *arguments],
        cwd=ROOT / "infra/ansible",
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)
