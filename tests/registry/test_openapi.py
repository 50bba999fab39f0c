"""The registry does what its OpenAPI document says, whatever is sent: schemathesis makes up the requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.registry.conftest import TOKEN

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]
ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def filled(make_bundle: MakeBundle, serve: Callable[..., Server]) -> Server:
    """Two versions, one in dev, a device; nobody is held back by rate limits."""
    server = serve(writes_per_minute=0, refusals_per_minute=0)
    with server.client() as client:
        for bundle in (make_bundle("1.0.0"), make_bundle("1.1.0")):
            client.put(bundle.path, content=bundle.tar()).raise_for_status()
        server.operator().promote("dev", bundle)
        report = {"name": "test-net", "channel": "dev", "outcome": "ok"}
        client.put("/v1/devices/pi-01", json=report).raise_for_status()
    return server


def configuration(server: Server, folder: Path) -> Path:
    """The configuration beside this file, with digests that the registry has."""
    with server.client() as client:
        version = client.get("/v1/bundles/test-net/versions/1.0.0").json()
    digests = [version["manifest_sha256"], *(file["sha256"] for file in version["files"].values())]
    known = f"[dictionaries.digests]\nvalues = {json.dumps(digests)}\n\n[parameters]\n"
    known += 'sha256 = { dictionary = "digests", probability = 0.8 }\n'
    path = folder / "schemathesis.toml"
    path.write_text(CONFIGURATION.read_text().replace("[parameters]\n", known))
    return path


@pytest.mark.openapi
def test_schemathesis_finds_nothing(filled: Server, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    command: list[str | Path] = [
        program,
        "--config-file",
        configuration(filled, tmp_path),
        "run",
        f"{filled.url}/openapi.json",
    ]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", "all", "--seed", "1", "--no-color"]
    command += ["--max-examples", os.environ.get("PLUMBLINE_TEST_EXAMPLES", "50")]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}  # of the hooks
    run = subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, check=False)
    print(run.stdout[-3000:])
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def examples_of(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every property of every model, with whether it has an example."""
    for name, schema in document["components"]["schemas"].items():
        if schema.get("examples"):
            continue
        for field, described in schema.get("properties", {}).items():
            yield f"{name}.{field}", described


def test_every_field_has_an_example_or_a_model_of_its_own(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    lacking = [
        field
        for field, described in examples_of(document)
        if "examples" not in described and "$ref" not in json.dumps(described)
    ]
    assert lacking == []
