"""`make bench-registry`: a fleet at the registry, directly and through nginx, beside nginx serving the file alone.

1,000 devices ask whether there is news, as the updater does (newest root, timestamp), each on a connection of its own,
all at once; 200 devices download a bundle's 5 MB model at once. Server and fleet share this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from infra.registry_front import nginx

from plumbline_contract.manifest import MANIFEST_FILE, BundleFile, parse_manifest
from plumbline_registry.bundle_directory import BundleDirectory, read_bundle_directory
from plumbline_registry.client import RegistryClient
from plumbline_registry.trust.keys import KeysFolder
from plumbline_registry.trust.operator import initialise

ROOT = Path(__file__).parent.parent
DEVICES, DOWNLOADS, MODEL_BYTES, ROUNDS = 1000, 200, 5_000_000, 5
PATIENCE_SECONDS = 60
TOKEN = secrets.token_urlsafe(32)
POLLS = ("/tuf/metadata/2.root.json", "/tuf/metadata/timestamp.json")


@dataclass(frozen=True)
class Place:
    """Somewhere that a fleet asks, and the process whose memory that costs."""

    name: str
    url: str
    polls: tuple[str, ...]
    download: str
    processes: tuple[int, ...]


async def get(url: str, path: str, statuses: tuple[int, ...]) -> tuple[float, int]:
    """Seconds and bytes of one request on a connection of its own, whole or an error."""
    address = urlsplit(url)
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 18)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if int(head.split(b" ", 2)[1]) not in statuses or length is None:
            raise RuntimeError(f"{url}{path} answers {head[:80]!r}")
        left = int(length[1])
        while left and (piece := await reader.read(1 << 18)):
            left -= len(piece)
        if left:
            raise RuntimeError(f"{url}{path} ends {left} bytes early")
    finally:
        writer.close()
    return time.perf_counter() - begun, int(length[1])


async def poll(place: Place) -> list[float]:
    """One device asks for news; seconds of each request."""
    return [(await asyncio.wait_for(get(place.url, path, (200, 404)), PATIENCE_SECONDS))[0] for path in place.polls]


async def download(place: Place) -> list[float]:
    """One device takes the model."""
    seconds, size = await asyncio.wait_for(get(place.url, place.download, (200,)), PATIENCE_SECONDS)
    if size != MODEL_BYTES:
        raise RuntimeError(f"{place.url}{place.download} has {size} bytes, not {MODEL_BYTES}")
    return [seconds]


async def fleet(size: int, act: Callable[[Place], Awaitable[list[float]]], place: Place) -> tuple[float, list[float]]:
    """Everybody at once: wall seconds, and seconds of every request."""
    begun = time.perf_counter()
    answers = await asyncio.gather(*(act(place) for _ in range(size)))
    return time.perf_counter() - begun, [seconds for found in answers for seconds in found]


def measure(name: str, size: int, act: Callable[[Place], Awaitable[list[float]]], place: Place, rounds: int) -> None:
    """A line of the table: the median round's rate, all requests' median and 99th percentile, and peak memory."""
    runs = [asyncio.run(fleet(size, act, place)) for _ in range(rounds)]
    rate = float(np.median([len(seconds) / wall for wall, seconds in runs]))
    p50, p99 = np.percentile([value for _, seconds in runs for value in seconds], [50, 99])
    megabytes = f"{rate * MODEL_BYTES / 1e6:8.0f}" if act is download else " " * 8
    memory = " + ".join(f"{peak_mib(pid):.0f}" for pid in place.processes)
    print(f"{name:<10} {place.name:<16} {rate:9.0f} {megabytes} {p50:8.3f} {p99:8.3f}  {memory}", flush=True)


def peak_mib(pid: int) -> float:
    """Largest resident size that a process and its children had, each its own peak, added up."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    peaks = [
        int(line.split()[1])
        for one in (str(pid), *children)
        for line in Path(f"/proc/{one}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return sum(peaks) / 1024


@contextmanager
def registry(folder: Path, downloads: str) -> Iterator[tuple[str, int]]:
    """Address and process of a registry with the bundle and signed metadata."""
    here = {"DATABASE_URL": f"sqlite:///{folder}/registry.sqlite3", "BLOB_DIR": str(folder / "blobs")}
    here |= {"WRITE_TOKEN": TOKEN, "DOWNLOADS": downloads, "TOKENS_FILE": str(folder / "tokens.json")}
    environment = {**os.environ, **{f"PLUMBLINE_REGISTRY_{name}": value for name, value in here.items()}}
    command = [sys.executable, "-m", "plumbline_registry.cli", "serve", "--port", "0"]
    # Into a file: a pipe that nobody reads would stop the server once its log fills it.
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            yield address_in(log), process.pid
        finally:
            process.terminate()


def address_in(log: Path) -> str:
    """The address that a registry says it listens on."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.search(r"registry on (\S+) ", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the registry did not start in 60 s: {log.read_text()[-1000:]}")


def made_bundle(folder: Path) -> BundleDirectory:
    """The shipped bundle, with 5 MB of noise for its model."""
    shipped, target = ROOT / "models" / "hrnet-edge-s", folder / "bundle"
    if not target.exists():
        shutil.copytree(shipped, target)
        content = np.random.default_rng(0).bytes(MODEL_BYTES)
        (target / "model.tflite").write_bytes(content)
        manifest = parse_manifest((target / MANIFEST_FILE).read_bytes())
        model = BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=MODEL_BYTES)
        changed = manifest.model_copy(update={"files": {**manifest.files, "model.tflite": model}})
        (target / MANIFEST_FILE).write_text(changed.to_json())
    return read_bundle_directory(target)


def places(folder: Path) -> Iterator[Place]:
    """One after the other, each with its servers running: the registry, nginx before it, nginx with files alone."""
    with registry(folder / "direct", "direct") as (url, pid):
        model = fill(url, folder)
        yield Place("direct", url, POLLS, model, (pid,))
    files = folder / "files"
    files.mkdir()
    (files / "timestamp.json").write_bytes(bytes(500))
    os.link(folder / "bundle" / "model.tflite", files / "model.tflite")
    alone = f"location /files/ {{ alias {files}/; }}"
    with registry(folder / "accel", "accel") as (url, pid):
        fresh = folder / "accel"
        model = fill(url, fresh)
        with nginx(folder / "nginx", url, fresh / "blobs", limited=False, more=alone) as front_url:
            server = int((folder / "nginx" / "pid").read_text())
            yield Place("through nginx", front_url, POLLS, model, (pid, server))
            polls = ("/files/none.json", "/files/timestamp.json")
            yield Place("nginx, files", front_url, polls, "/files/model.tflite", (server,))


def cpu() -> str:
    """The processor's name."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else "unknown processor"


def fill(url: str, folder: Path) -> str:
    """Keys, metadata, and the shipped bundle with a model of 5 MB; gives the model's address."""
    bundle = made_bundle(folder)
    with RegistryClient(url, TOKEN) as client:
        keys = KeysFolder(folder / "keys")
        if keys.is_fresh():
            initialise(client, keys)
        info, _ = client.publish(bundle)
    return f"/v1/blobs/{info.files['model.tflite'].sha256}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench-registry", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each, the median counts (%(default)s)")
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{cpu()}, {os.cpu_count()} cores for server and fleet together; {arguments.rounds} rounds")
    print(f"{'':<10} {'':<16} {'requests/s':>9} {'MB/s':>8} {'p50 s':>8} {'p99 s':>8}  peak MiB")
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as name:
        folder = Path(name)
        for place in places(folder):
            measure("poll", DEVICES, poll, place, arguments.rounds)
            measure("download", DOWNLOADS, download, place, arguments.rounds)


if __name__ == "__main__":
    main()
