"""Only what no version names is removed; a killed registry leaves whole versions and garbage, never half versions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import Connection, event, insert, select
from tests.registry.conftest import age_leases, environment_of

from plumbline_registry.catalogue import Catalogue
from plumbline_registry.cli import main
from plumbline_registry.database import open_engine
from plumbline_registry.errors import VersionInUse
from plumbline_registry.gc import collect_garbage
from plumbline_registry.leases import Leases
from plumbline_registry.settings import Settings
from plumbline_registry.stores.opening import open_store
from plumbline_registry.tables import ChannelChangeRow, VersionRow

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server, ServerProcess

MakeBundle = Callable[..., "Bundle"]
NOW = timedelta(seconds=-1)


def collect(settings: Settings, min_age: timedelta) -> tuple[int, int]:
    engine, blobs = open_engine(settings.database_url), open_store(settings)
    try:
        return collect_garbage(Catalogue(engine), Leases(engine), blobs, min_age)
    finally:
        blobs.close()
        engine.dispose()


def test_deleted_versions_own_blobs_go_and_shared_ones_stay(
    make_bundle: MakeBundle,
    server: Server,
    client: httpx.Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, deleted = make_bundle("1.0.0"), make_bundle("1.1.0")  # the same seed: only the manifests differ
    for bundle in (kept, deleted):
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
    assert client.delete(deleted.path).status_code == 204
    assert client.get(deleted.path).json()["error"]["code"] == "unknown_version"
    assert collect(server.settings, timedelta(hours=1)) == (0, 0)
    for name, value in environment_of(server.settings).items():
        monkeypatch.setenv(name, value)
    assert main(["gc", "--min-age-seconds", "-1"]) == 0
    assert capsys.readouterr().out == f"removed 1 blob(s), {len(deleted.files['manifest.json'])} bytes\n"
    for content in kept.files.values():
        assert client.get(f"/v1/blobs/{hashlib.sha256(content).hexdigest()}").content == content


def test_version_that_is_promoted_while_it_is_deleted_stays(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    """The promotion comes after the look whether a channel gave it."""
    bundle = make_bundle("1.0.0")
    client.put(bundle.path, content=bundle.tar()).raise_for_status()
    engine = open_engine(server.settings.database_url)

    @event.listens_for(engine, "before_cursor_execute")
    def promote(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM versions"):
            found = connection.execute(select(VersionRow.id)).scalar_one()
            move = {"name": "test-net", "channel": "dev", "sequence": 1, "version_id": found, "metadata_version": 2}
            who = {"changed_at": datetime.now(timezone.utc), "actor": "another", "reason": "a test"}
            connection.execute(insert(ChannelChangeRow).values(**move, **who))

    with pytest.raises(VersionInUse, match="was promoted at the same moment"):
        Catalogue(engine).delete_version("test-net", "1.0.0", "a test")
    engine.dispose()
    assert client.get(bundle.path).status_code == 200


def test_what_a_channel_gave_is_not_deleted(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("1.1.0")
    for bundle in (first, second):
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
        server.operator().promote("dev", bundle)
    for bundle in (first, second):
        assert client.delete(bundle.path).json()["error"]["code"] == "version_in_use"
    with server.client(None) as stranger:
        assert stranger.delete(first.path).json()["error"]["code"] == "unauthorised"


def test_garbage_collection_while_publishing_takes_nothing_away(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    stop = threading.Event()

    def keep_collecting() -> None:
        while not stop.is_set():
            collect(server.settings, timedelta(seconds=5))

    collector = threading.Thread(target=keep_collecting)
    collector.start()
    try:
        bundles = [make_bundle(f"1.{minor}.0", seed=minor) for minor in range(20)]
        for bundle in bundles:
            client.put(bundle.path, content=bundle.tar()).raise_for_status()
    finally:
        stop.set()
        collector.join()
    require_whole(client, bundles)


def require_whole(client: httpx.Client, bundles: list[Bundle]) -> None:
    for bundle in bundles:
        assert client.get(f"{bundle.path}/manifest").content == bundle.files["manifest.json"]
        for file, entry in bundle.manifest.files.items():
            assert client.get(f"/v1/blobs/{entry.sha256}").content == bundle.files[file]


def publish_until_killed(server: ServerProcess, waiting: Iterator[Bundle], calm: int, seconds: float) -> list[Bundle]:
    """Publish this many, then go on until the registry is killed, this much later; gives the acknowledged ones."""
    acknowledged: list[Bundle] = []
    killer = threading.Timer(seconds, server.process.kill)
    with server.client() as client:
        for bundle in waiting:
            if len(acknowledged) == calm:
                killer.start()
            try:
                client.put(bundle.path, content=bundle.tar()).raise_for_status()
            except httpx.TransportError:
                break
            acknowledged.append(bundle)
    killer.join()
    server.process.wait()
    return acknowledged


@pytest.mark.faults
def test_kill_during_100_publishes_keeps_every_acknowledged_version(
    make_bundle: MakeBundle, serve: Callable[..., Server], serve_process: Callable[..., ServerProcess]
) -> None:
    bundles = [make_bundle(f"1.{minor}.0", seed=minor, model_bytes=60_000) for minor in range(100)]
    acknowledged: list[Bundle] = []
    waiting = iter(bundles)
    for milliseconds in (1, 3, 5, 8, 12):
        acknowledged += publish_until_killed(serve_process(), waiting, 10, milliseconds / 1000)
    assert 50 <= len(acknowledged) < 100
    server = serve()
    with server.client() as client:
        for bundle in waiting:
            client.put(bundle.path, content=bundle.tar()).raise_for_status()
            acknowledged.append(bundle)
        require_whole(client, acknowledged)
        assert server.unfinished() == []
        engine = open_engine(server.settings.database_url)
        age_leases(engine, timedelta(hours=2))
        engine.dispose()
        collect(server.settings, NOW)
        require_whole(client, acknowledged)
        listed = client.get("/v1/bundles/test-net/versions").json()["versions"]
        named = {entry["sha256"] for version in listed for entry in version["files"].values()}
        assert server.blobs() == named | {version["manifest_sha256"] for version in listed}
