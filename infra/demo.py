"""`make demo`: the whole path on one machine with nothing but files: registry, publish, update, coach.

Starts a registry on SQLite and a folder, publishes the shipped bundles, promotes them to stable, lets the edge fetch,
verify and activate them, and runs the coach on the sample clip: live on a page, or once with a summary.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUNDLE, JUDGE = ROOT / "models" / "hrnet-edge-s", ROOT / "models" / "form-judge"
CLIP = ROOT / "samples" / "squats.mp4"
REGISTRY_START_SECONDS = 30.0


def program(name: str) -> str:
    """A program of the environment that runs this script."""
    return str(Path(sys.executable).parent / name)


def free_port(wanted: int) -> int:
    """`wanted` where it is free, else any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return wanted
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end; its error is ours."""
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, check=False, text=True, stdout=subprocess.PIPE
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip()


@contextlib.contextmanager
def registry(state: Path, port: int) -> Iterator[str]:
    """A registry that starts empty and runs while the block does; gives its URL."""
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    arguments = ["--port", str(port), "--database-url", f"sqlite:///{state / 'registry.sqlite3'}"]
    arguments += ["--blob-dir", str(state / "blobs"), "--tokens-file", str(state / "tokens.json")]
    with (state / "registry.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([program("plumbline-registry"), "serve", *arguments], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process, state / "registry.log")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when /readyz answers; end with the log's last lines if the registry does not come up."""
    deadline = time.monotonic() + REGISTRY_START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/readyz", timeout=2).close()  # noqa: S310  # our own address
            return
        time.sleep(0.1)
    sys.exit(f"error: the registry did not start; its log {str(log)!r} ends:\n{log.read_text()[-800:]}")


def publish(url: str, state: Path) -> None:
    """Make keys, put the shipped bundles into the registry and sign that stable gives them."""
    scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
    tokens = ["--name", "demo", "--tokens-file", str(state / "tokens.json")]
    token = run(program("plumbline-registry"), "token", *scopes, *tokens)
    secret = {"PLUMBLINE_REGISTRY_TOKEN": token, "PLUMBLINE_REGISTRY_KEYS": str(state / "keys")}
    print(run(program("plumbline-registry"), "init", "--url", url, environment=secret))
    for bundle in (BUNDLE, JUDGE):
        print(run(program("plumbline-registry"), "publish", str(bundle), "--url", url, environment=secret))
        version = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["version"]
        promote = ["promote", bundle.name, version, "stable", "--reason", "demo", "--url", url]
        print(run(program("plumbline-registry"), *promote, environment=secret))


def coach(state: Path, port: int, once: bool) -> int:
    """Run the edge on the sample clip; returns its exit code."""
    command = [program("plumbline-edge"), "run", "--source", str(CLIP), "--state", str(state / "edge")]
    if once:
        command += ["--once", "--output", str(state / "annotated.mp4")]
    else:
        command += ["--loop", "--port", str(port)]
        print(f"\n  open http://127.0.0.1:{port}/ in a browser; Ctrl-C ends\n", flush=True)
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the edge got the same signal and is stopping


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="take the clip once, write the annotated video, end")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "demo", help="folder for everything it writes")
    parser.add_argument("--port", type=int, default=8080, help="port of the page, if it is free")
    parser.add_argument("--registry-port", type=int, default=8100, help="port of the registry, if it is free")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    state: Path = arguments.state
    state.mkdir(parents=True, exist_ok=True)
    with registry(state / "registry", free_port(arguments.registry_port)) as url:
        print(f"registry at {url}")
        # The registry and its keys are new each time; to a device that remembers the last ones it would be an impostor.
        shutil.rmtree(state / "edge", ignore_errors=True)
        publish(url, state / "registry")
        update = ["update", "--registry", url, "--name", BUNDLE.name, "--judge-name", JUDGE.name]
        update += ["--state", str(state / "edge"), "--root", str(state / "registry" / "keys" / "root.json")]
        print(run(program("plumbline-edge"), *update))
        sys.exit(coach(state, free_port(arguments.port), arguments.once))


if __name__ == "__main__":
    main()
