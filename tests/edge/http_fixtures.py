"""Real HTTP servers on free ports: a camera that sends MJPEG, and a registry with the faults a network has."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from tests.edge.repository import Repository

from plumbline_contract.manifest import BUNDLE_FILES, MANIFEST_FILE, parse_any_manifest
from plumbline_contract.preprocess import Image


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The base URL of a server that runs until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mjpeg_camera(pictures_a_connection: int, shows: Image | None = None) -> Iterator[str]:
    """A camera that hangs up after this many pictures, of `shows` or of nobody, and may be called again."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            for index in range(pictures_a_connection):
                image = np.full((120, 160, 3), 8 * index, np.uint8) if shows is None else shows
                picture = cv2.imencode(".jpg", image)[1].tobytes()
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
                try:
                    self.wfile.write(head + picture + b"\r\n")
                except ConnectionError:  # the viewer has hung up
                    return
                time.sleep(0.01)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Camera) as url:
        yield f"{url}/live.mjpg"


@dataclass
class FakeRegistry:
    """What a device asks of a registry, over a real TUF repository, with faults for single files.

    Files are called manifest.json, model.tflite and so on, and by their roles: timestamp.json, stable.json.
    """

    url: str = ""
    repository: Repository = field(default_factory=Repository)
    requests: list[str] = field(default_factory=list)
    corrupt: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    endless: set[str] = field(default_factory=set)
    trickling: set[str] = field(default_factory=set)
    fail_request: tuple[int, str] | None = None
    """Number of the request, from 0, that fails, and how: the name of one of the sets above."""
    reports: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Path, authorization and content of what devices reported."""
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def publish(self, folder: Path) -> tuple[str, int]:
        """Take a bundle; returns digest and size of its manifest."""
        manifest = (folder / MANIFEST_FILE).read_bytes()
        for name in (MANIFEST_FILE, *BUNDLE_FILES):
            content = (folder / name).read_bytes()
            self.blobs[hashlib.sha256(content).hexdigest()] = (name, content)
        return hashlib.sha256(manifest).hexdigest(), len(manifest)

    def give(self, folder: Path, channel: str = "stable", name: str = "dots") -> str:
        """Publish a bundle and sign that the channel gives it; returns its manifest's digest."""
        digest, size = self.publish(folder)
        version = parse_any_manifest((folder / MANIFEST_FILE).read_bytes()).version
        self.repository.point(name, channel, version, digest, size)
        return digest

    def answer(self, path: str) -> tuple[str, bytes | None]:
        """The file's name, and its content if there is any."""
        match path.strip("/").split("/"):
            case ["tuf", "metadata", name]:
                return re.sub(r"^[0-9]+\.", "", name), self.repository.files.get(name)
            case ["v1", "blobs", digest] if digest in self.blobs:
                return self.blobs[digest]
        return "nothing", None

    def fault_of(self, number: int, name: str) -> str | None:
        """How this request shall fail."""
        if self.fail_request is not None and number == self.fail_request[0]:
            return self.fail_request[1]
        kinds = ("corrupt", "cut", "silent", "failing", "endless", "trickling")
        return next((kind for kind in kinds if name in getattr(self, kind)), None)


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry that runs until the end of the block."""
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.requests.append(self.path)
            name, body = registry.answer(self.path)
            fault = registry.fault_of(len(registry.requests) - 1, name)
            if fault == "silent":
                time.sleep(1.5)
                return
            if fault == "failing" or body is None:
                self.send_error(500 if fault else 404)
                return
            self._give(body, fault)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            registry.reports.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(200 if self.headers["Authorization"] == "Bearer right" else 401)
            self.end_headers()

        def _give(self, body: bytes, fault: str | None) -> None:
            begin = int(found[1]) if (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
            if fault == "corrupt":
                body = bytes([body[0] ^ 1]) + body[1:]
            self.send_response(206 if begin else 200)
            if fault not in ("endless", "trickling"):
                self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            with suppress(ConnectionError):
                self._send(body[begin:], fault)

        def _send(self, body: bytes, fault: str | None) -> None:
            if fault == "endless":
                for _ in range(200):
                    self.wfile.write(bytes(1 << 20))
            elif fault == "trickling":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
            else:
                self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as registry.url:
        yield registry
