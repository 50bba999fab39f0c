"""Whatever is uploaded is taken or refused in the one shape of errors; nothing is a fault of the registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.registry.conftest import Server, running, settings_in
from tests.registry.uploads import uploads


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One registry for all uploads."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with running(settings_in(folder, writes_per_minute=0)) as server:
        yield server


@given(body=uploads())
@settings(
    max_examples=10 * int(os.environ.get("PLUMBLINE_TEST_EXAMPLES", "10")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_upload_is_a_fault_of_the_registry(fuzzed: Server, body: bytes) -> None:
    with fuzzed.client() as client:
        answer = client.put("/v1/bundles/test-net/versions/1.0.0", content=body)
        assert answer.status_code in (200, 201, 409, 422), answer.text
        if answer.status_code > 201:
            assert sorted(answer.json()["error"]) == ["code", "message"]
        assert client.get("/v1/bundles/test-net/versions/1.0.0").status_code in (200, 404)
    assert fuzzed.unfinished() == []
