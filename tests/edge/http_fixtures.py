"""Real HTTP servers on free ports: a camera that sends MJPEG, and a registry with the faults a network has."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from plumbline_contract.manifest import BUNDLE_FILES, MANIFEST_FILE


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
def mjpeg_camera(pictures_a_connection: int) -> Iterator[str]:
    """A camera that hangs up after this many pictures, and may be called again."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            for index in range(pictures_a_connection):
                picture = cv2.imencode(".jpg", np.full((120, 160, 3), 8 * index, np.uint8))[1].tobytes()
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


class FakeRegistry:
    """The registry's read API over bundle folders, with faults that can be switched on for single files."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.corrupt: set[str] = set()
        self.cut: set[str] = set()
        self.silent: set[str] = set()
        self._blobs: dict[str, bytes] = {}
        self._file_names: dict[str, str] = {}
        self._manifests: dict[tuple[str, str], bytes] = {}
        self._channels: dict[tuple[str, str], tuple[str, str]] = {}

    def publish(self, folder: Path, name: str, version: str) -> str:
        """Take a bundle under this name and version (whatever its manifest says); returns its manifest's digest."""
        manifest = (folder / MANIFEST_FILE).read_bytes()
        self._manifests[name, version] = manifest
        for file_name in BUNDLE_FILES:
            content = (folder / file_name).read_bytes()
            self._blobs[hashlib.sha256(content).hexdigest()] = content
            self._file_names[hashlib.sha256(content).hexdigest()] = file_name
        return hashlib.sha256(manifest).hexdigest()

    def point(self, name: str, channel: str, version: str, manifest_sha256: str) -> None:
        """Point a channel at a version."""
        self._channels[name, channel] = (version, manifest_sha256)

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """Status, body and the name of the file that it is."""
        match path.strip("/").split("/"):
            case ["v1", "bundles", name, "channels", channel] if (name, channel) in self._channels:
                version, digest = self._channels[name, channel]
                known = {"name": name, "channel": channel, "version": version, "manifest_sha256": digest}
                return 200, json.dumps({**known, "updated_at": "2025-01-01T00:00:00Z"}).encode(), "channel"
            case ["v1", "bundles", name, "versions", version, "manifest"] if (name, version) in self._manifests:
                return 200, self._manifests[name, version], MANIFEST_FILE
            case ["v1", "blobs", digest] if digest in self._blobs:
                return 200, self._blobs[digest], self._file_names[digest]
        message = {"error": {"code": "unknown_channel", "message": f"nothing is known of {path}"}}
        return 404, json.dumps(message).encode(), "error"


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry that runs until the end of the block."""
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.requests.append(self.path)
            status, body, name = registry.answer(self.path)
            if name in registry.silent:
                time.sleep(1.5)
                return
            if name in registry.corrupt:
                body = bytes([body[0] ^ 1]) + body[1:]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if name in registry.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as registry.url:
        yield registry
