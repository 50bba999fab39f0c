"""The repository's nginx configuration, run on a free port in front of a registry: for tests and for the bench."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

CONFIGURATION = Path(__file__).with_name("nginx") / "registry.conf"
_SECONDS = 10


@contextmanager
def nginx(folder: Path, registry: str, blobs: Path, *, limited: bool = True, more: str = "") -> Iterator[str]:
    """The address of an nginx before the registry at this address, gone afterwards; `more` is put into its server.

    Not `limited`: one address may stand for a fleet.

    Fails loudly where nginx is not installed.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("nginx is missing (apt-get install nginx-light): the registry was NOT run behind it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True)
    text = CONFIGURATION.read_text()
    for ours, here in (
        ("server registry:8100;", f"server {registry.removeprefix('http://')};"),
        ("listen 8080;", f"listen 127.0.0.1:{port} backlog=4096; {more}"),
        ("/var/lib/plumbline-registry/blobs/", f"{blobs.absolute()}/"),
        ("rate=20r/s", "rate=20r/s" if limited else "rate=100000r/s"),
        ("burst=200", "burst=200" if limited else "burst=100000"),
    ):
        if ours not in text:
            raise RuntimeError(f"{str(CONFIGURATION)!r} no longer holds {ours!r}; bring this file up to date")
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
    raise RuntimeError(f"nginx did not start in {_SECONDS} s: {log.read_text()[-1000:]}")
