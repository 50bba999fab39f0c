"""Garbage collection and publishing never meet over one blob, whatever the store is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine
from tests.registry.conftest import age_leases, settings_in

from plumbline_registry.catalogue import Catalogue
from plumbline_registry.database import open_engine
from plumbline_registry.leases import Leases

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle

HOUR = timedelta(hours=1)
DIGEST = "a" * 64


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(settings_in(tmp_path).database_url)
    yield engine
    engine.dispose()


def is_free(leases: Leases, sha256: str, min_age: timedelta = HOUR) -> bool:
    with leases.removing(sha256, min_age) as free:
        return free


def test_held_blob_is_left_alone_until_the_publish_ends(engine: Engine) -> None:
    leases = Leases(engine)
    assert is_free(leases, DIGEST)
    with leases.held({DIGEST}), leases.held({DIGEST, "b" * 64}):
        assert not is_free(leases, DIGEST)
    assert is_free(leases, DIGEST)
    with pytest.raises(RuntimeError, match="a publish fails"), leases.held({DIGEST}):
        raise RuntimeError("a publish fails")
    assert is_free(leases, DIGEST)


def test_lease_of_a_dead_process_ends_with_its_own_age_and_what_is_spared(engine: Engine) -> None:
    leases = Leases(engine)
    holding = leases.held({DIGEST})
    holding.__enter__()  # and never left, as by a kill
    for spared in (timedelta(seconds=-1), HOUR):
        assert not is_free(leases, DIGEST, spared)
    age_leases(engine, 2 * HOUR)
    assert not is_free(leases, DIGEST, 3 * HOUR)
    assert is_free(leases, DIGEST, timedelta(seconds=-1))


def test_named_blob_is_left_alone(engine: Engine, make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    Catalogue(engine).add_version(bundle.manifest, bundle.manifest_sha256, 10, "publisher")
    for sha256 in (bundle.manifest_sha256, bundle.manifest.files["model.tflite"].sha256):
        assert not is_free(Leases(engine), sha256)


def test_publish_waits_while_a_blob_is_being_removed(engine: Engine) -> None:
    """Or it would count on a blob that is about to go."""
    leases, held = Leases(engine), threading.Event()

    def publish() -> None:
        with leases.held({DIGEST}):
            held.set()

    with leases.removing(DIGEST, HOUR) as free:
        publishing = threading.Thread(target=publish)
        publishing.start()
        assert free
        assert not held.wait(0.3)
    publishing.join(20)
    assert held.is_set()
