"""Any earlier state of the tables becomes the newest one, with its rows; what is newer is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text
from tests.registry.conftest import settings_in

from plumbline_registry.catalogue import Catalogue
from plumbline_registry.database import open_engine
from plumbline_registry.errors import StorageUnavailable
from plumbline_registry.migrations.upgrade import newest
from plumbline_registry.tables import Base

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle


@pytest.fixture
def url(tmp_path: Path) -> str:
    return settings_in(tmp_path).database_url


def step(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def make_old(url: str) -> None:
    """The tables as the first release made them, which wrote no number down."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "plumbline_registry:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
        row = "'old-net', '1.0.0', '{}', 10, '2025-01-01 00:00:00', 'publisher'".format("a" * 64)
        columns = "name, version, manifest_sha256, manifest_bytes, created_at, actor"
        connection.execute(text(f"INSERT INTO versions ({columns}) VALUES ({row})"))  # noqa: S608  # our own values
    engine.dispose()


def test_steps_lead_to_the_tables_that_the_code_uses(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    assert step(engine) == newest()
    engine.dispose()


def test_tables_of_before_there_were_steps_are_taken_over(url: str, make_bundle: Callable[..., Bundle]) -> None:
    make_old(url)
    engine = open_engine(url)
    assert step(engine) == newest()
    catalogue, bundle = Catalogue(engine), make_bundle()
    catalogue.add_version(bundle.manifest, bundle.manifest_sha256, 10, "publisher")
    assert [(item.name, item.latest) for item in catalogue.bundles().bundles] == [
        ("old-net", "1.0.0"),
        ("test-net", "1.0.0"),
    ]
    engine.dispose()


def test_tables_of_a_newer_release_are_left_alone(url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageUnavailable, match=r"of another release.*9999.*run that release or a newer one"):
        open_engine(url)
