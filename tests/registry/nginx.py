"""The repository's nginx configuration, run for real on a free port in front of a registry."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.registry.conftest import Server

CONFIGURATION = Path(__file__).parents[2] / "infra" / "nginx" / "registry.conf"
_SECONDS = 10


@contextmanager
def nginx(folder: Path, server: Server, rate: str = "20r/s") -> Iterator[str]:
    """The address of an nginx that is gone afterwards. Fails loudly where it is not installed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program, "nginx is missing (apt-get install nginx-light): the registry was NOT tested behind it"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True)
    text = CONFIGURATION.read_text()
    for ours, here in (
        ("server 127.0.0.1:8100;", f"server {server.url.removeprefix('http://')};"),
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("/var/lib/plumbline-registry/blobs/", f"{server.settings.blob_dir.absolute()}/"),
        ("rate=20r/s", f"rate={rate}"),
    ):
        assert ours in text, ours
        text = text.replace(ours, here)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Its workers read what this user wrote.
    head = f"daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;"
    events = "worker_processes 2; events { worker_connections 4096; }"
    (folder / "nginx.conf").write_text(f"{head} {events} http {{ access_log off; {temporary} {text} }}")
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", folder / "error.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"nginx did not start in {_SECONDS} s: {log.read_text()[-1000:]}")
