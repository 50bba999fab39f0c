"""Real bundles and real servers: a small valid bundle from random bytes, and the registry on a free port."""

from __future__ import annotations

import hashlib
import io
import os
import select
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy
import uvicorn
from pydantic import SecretStr
from tests.registry import s3
from tests.registry.postgres import VARIABLE, cluster, database_for
from tests.registry.s3 import object_store

from plumbline_contract.evaluation import EvaluationRecord
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    EVALUATION_FILE,
    AveragePrecision,
    BundleFile,
    Dataset,
    GoldenCheck,
    InputSpec,
    Latency,
    Lineage,
    Manifest,
    Metrics,
    OutputSpec,
    Parity,
)
from plumbline_registry.app import create_app
from plumbline_registry.blobs import blob_key
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.database import transaction
from plumbline_registry.server import listen
from plumbline_registry.settings import ENV_PREFIX, Settings
from plumbline_registry.stores.opening import open_store
from plumbline_registry.tables import LeaseRow
from plumbline_registry.trust.acceptance import Entry
from plumbline_registry.trust.keys import KeysFolder
from plumbline_registry.trust.operator import initialise, promote
from plumbline_registry.trust.signer import sign_once

TOKEN = "a-token-for-tests-only"


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk and in memory."""

    directory: Path
    manifest: Manifest
    files: dict[str, bytes]
    """The four files, the manifest first."""

    @property
    def path(self) -> str:
        return f"/v1/bundles/{self.manifest.name}/versions/{self.manifest.version}"

    @property
    def manifest_sha256(self) -> str:
        return hashlib.sha256(self.files["manifest.json"]).hexdigest()

    def tar(self) -> bytes:
        return tar_of(list(self.files.items()))


@dataclass(frozen=True)
class Server:
    """A registry that runs."""

    url: str
    settings: Settings

    def client(self, token: str | None = TOKEN) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # verify=False: plain HTTP, and loading the certificates of the world takes longer than most tests.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)  # noqa: S501

    def operator(self) -> Operator:
        """Somebody with every key; the first call sets the keys up."""
        keys = KeysFolder(self.settings.blob_dir.parent / "keys")
        with RegistryClient(self.url, TOKEN) as client:
            if keys.is_fresh():
                initialise(client, keys)
        return Operator(self, keys)

    def unfinished(self) -> list[Path]:
        """Files of uploads that are not complete."""
        return [path for path in (self.settings.blob_dir / "incoming").rglob("*") if path.is_file()]

    def spoil(self, sha256: str) -> None:
        """Overwrite a blob behind the registry's back."""
        if s3.VARIABLE in os.environ:
            s3.overwrite(self.settings, str(blob_key(sha256)), b"rotten")
            return
        path = self.settings.blob_dir / blob_key(sha256)
        path.chmod(0o644)
        path.write_bytes(b"rotten")

    def blobs(self) -> set[str]:
        """Digests of everything in the store."""
        store = open_store(self.settings)
        try:
            return set(store.older_than(timedelta(days=-1)))
        finally:
            store.close()


@dataclass(frozen=True)
class Operator:
    """Signs for channels, and publishes what was signed."""

    server: Server
    keys: KeysFolder

    def promote(
        self,
        channel: str,
        bundle: Bundle,
        reason: str = "a test",
        *,
        sign: bool = True,
        waive: bool = False,
        token: str = TOKEN,
    ) -> None:
        manifest, size = bundle.manifest, len(bundle.files["manifest.json"])
        entry = Entry(channel, manifest.name, manifest.version, bundle.manifest_sha256, size, reason, waive)
        with RegistryClient(self.server.url, token) as client:
            promote(client, self.keys, entry)
            if sign:
                sign_once(client, self.keys)

    def refused(self, channel: str, bundle: Bundle, *, token: str = TOKEN, waive: bool = False) -> str:
        """What the registry says when it does not take the promotion."""
        with pytest.raises(RequestRefused) as refusal:
            self.promote(channel, bundle, waive=waive, token=token)
        return str(refusal.value)


def age_leases(engine: sqlalchemy.Engine, by: timedelta) -> None:
    """As if what holds blobs now had begun so long ago."""
    with transaction(engine, write=True) as session:
        for lease in session.scalars(sqlalchemy.select(LeaseRow)):
            lease.begun_at -= by


def tar_of(members: list[tuple[str, bytes]]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def make_manifest(
    name: str, version: str, files: dict[str, bytes], *, ap: float = 0.5, recipe: str = "test"
) -> Manifest:
    def parity(reference: Any, candidate: Any) -> Parity:
        return Parity(
            reference=reference,
            candidate=candidate,
            precision="fp32",
            samples=2,
            heatmap_max_abs=1e-5,
            heatmap_mean_abs=1e-6,
            keypoint_p99_px=0.1,
            keypoint_max_px=0.2,
            keypoints_compared=34,
            min_score=0.3,
        )

    return Manifest(
        name=name,
        version=version,
        precision="fp32",
        input=InputSpec(height=256, width=192),
        output=OutputSpec(height=64, width=48),
        lineage=Lineage(
            git_commit="0123456789abcdef0123456789abcdef01234567",
            recipe=recipe,
            datasets=(Dataset(id="made", sha256="1" * 64, images=10, terms="none"),),
            checkpoint_sha256="2" * 64,
            created_at=datetime(2025, 1, 1, tzinfo=timezone.utc),
            tools={"test": "1"},
        ),
        metrics=Metrics(
            parity=(parity("torch", "onnx"), parity("onnx", "tflite")),
            average_precision=(
                AveragePrecision(
                    stage="tflite", precision="fp32", dataset="made", images=10, persons=12, ap=ap, ap50=0.8
                ),
            ),
            latency=(Latency(p50_seconds=0.01, threads=1, machine="a test"),),
        ),
        golden=GoldenCheck(heatmap_max_abs=0.01, keypoint_max_px=1.0),
        files={
            file: BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
            for file, content in files.items()
        },
    )


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """make_bundle(version, *, name, model_bytes, seed, evaluation, ap, recipe) -> a bundle that may be published."""

    def make(
        version: str = "1.0.0",
        *,
        name: str = "test-net",
        model_bytes: int = 5000,
        seed: int = 0,
        evaluation: EvaluationRecord | None = None,
        **measured: Any,
    ) -> Bundle:
        random = np.random.default_rng(seed)
        files = {file: random.bytes(model_bytes if file == "model.tflite" else 700) for file in BUNDLE_FILES}
        if evaluation is not None:
            files[EVALUATION_FILE] = evaluation.to_bytes()
        manifest = make_manifest(name, version, files, **measured)
        files = {"manifest.json": manifest.to_json().encode(), **files}
        directory = tmp_path / "bundles" / f"{name}-{version}-{seed}"
        directory.mkdir(parents=True)
        for file, content in files.items():
            (directory / file).write_bytes(content)
        return Bundle(directory, manifest, files)

    return make


@pytest.fixture(scope="session", autouse=True)
def _stores() -> Iterator[None]:
    """With PLUMBLINE_TEST_STORES=scale, every registry here is on PostgreSQL and an S3 server."""
    if os.environ.get("PLUMBLINE_TEST_STORES") != "scale":
        yield
        return
    with cluster() as database, object_store() as objects, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(database))
        patch.setenv(s3.VARIABLE, str(objects))
        yield


def settings_in(folder: Path, **changes: Any) -> Settings:
    objects = os.environ.get(s3.VARIABLE)
    return Settings(
        **{
            "database_url": database_for(folder) if VARIABLE in os.environ else f"sqlite:///{folder}/registry.sqlite3",
            **({} if objects is None else s3.settings_for(folder, objects)),
            "blob_dir": folder / "blobs",
            "tokens_file": folder / "tokens.json",
            "write_token": TOKEN,
            **changes,
        }
    )


@contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """The application on a free port, in a thread."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", settings)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """serve(**settings) -> a running registry; its folder is tmp_path/registry."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(running(settings_in(tmp_path / "registry", **changes)))


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Talks to `server` with a token that may write."""
    with server.client() as client:
        yield client


@dataclass(frozen=True)
class ServerProcess(Server):
    """A registry in a process of its own."""

    process: subprocess.Popen[str]


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings that say where the registry keeps things, as a process of its own takes them."""
    names = [name for name in Settings.model_fields if name.startswith("s3_")]
    given = {name: getattr(settings, name) for name in ("database_url", "blob_dir", "tokens_file", *names)}
    plain = {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()}
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in plain.items() if value is not None}


@contextmanager
def process_running(settings: Settings) -> Iterator[ServerProcess]:
    """`plumbline-registry serve` on a free port."""
    environment = {
        **os.environ,
        "PLUMBLINE_REGISTRY_WRITE_TOKEN": TOKEN,
        **environment_of(settings),
    }
    command = [sys.executable, "-m", "plumbline_registry.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 30)[0], "the server said nothing in 30 s"
            line = process.stdout.readline()
            yield ServerProcess(line.split()[2], settings, process)
        finally:
            process.kill()


@pytest.fixture
def serve_process(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """serve_process(**settings) -> a registry in a process of its own, in tmp_path/registry."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(process_running(settings_in(tmp_path / "registry", **changes)))
