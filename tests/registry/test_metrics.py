"""What /metrics says after real requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]


def sample(client: httpx.Client, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    raise AssertionError(f"no sample {name} {labels}")


def test_metrics_count_what_happened(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle, other = make_bundle(seed=0), make_bundle(seed=1)
    for body in (bundle.tar(), bundle.tar(), other.tar(), b"x" * 1024):
        client.put(bundle.path, content=body)
    server.operator().promote("dev", bundle)
    for outcome in ("created", "unchanged", "version_exists", "malformed_upload"):
        assert sample(client, "plumbline_registry_publishes_total", outcome=outcome) == 1
    uploaded_bytes = 2 * len(bundle.tar()) + len(other.tar()) + 1024
    assert sample(client, "plumbline_registry_received_bytes_total") == uploaded_bytes
    assert sample(client, "plumbline_registry_published_versions") == 1
    assert sample(client, "plumbline_registry_channel_bundles", channel="dev") == 1
    assert sample(client, "plumbline_registry_channel_bundles", channel="stable") == 0
    assert sample(client, "plumbline_registry_database_up") == 1


def test_the_end_of_every_signature_is_told(server: Server, client: httpx.Client) -> None:
    name = "plumbline_registry_metadata_expiry_timestamp_seconds"
    with pytest.raises(AssertionError, match="no sample"):
        sample(client, name, role="root")
    server.operator()
    days = {role: (sample(client, name, role=role) - time.time()) / 86_400 for role in ("root", "stable", "timestamp")}
    assert days == pytest.approx({"root": 365, "stable": 365, "timestamp": 7}, abs=0.1)


def test_durations_are_by_route_not_by_address(make_bundle: MakeBundle, client: httpx.Client) -> None:
    bundle = make_bundle()
    client.put(bundle.path, content=bundle.tar())
    client.get(f"/v1/blobs/{bundle.manifest.files['model.tflite'].sha256}")
    client.get("/somewhere/else")
    client.request("BREW", "/coffee")
    count = "plumbline_registry_request_duration_seconds_count"
    route = "/v1/bundles/{name}/versions/{version}"
    assert sample(client, count, method="PUT", route=route, status="201") == 1
    assert sample(client, count, method="GET", route="/v1/blobs/{sha256}", status="200") == 1
    assert sample(client, count, method="GET", route="unmatched", status="404") == 1
    assert sample(client, count, method="other", route="unmatched", status="404") == 1
    assert "test-net" not in client.get("/metrics").text


def test_sent_bytes_are_those_of_bodies(make_bundle: MakeBundle, client: httpx.Client) -> None:
    bundle = make_bundle(model_bytes=200_000)
    client.put(bundle.path, content=bundle.tar())
    before = sample(client, "plumbline_registry_sent_bytes_total")
    client.get(f"/v1/blobs/{bundle.manifest.files['model.tflite'].sha256}")
    sent = sample(client, "plumbline_registry_sent_bytes_total") - before
    assert 200_000 <= sent < 220_000


def test_memory_of_the_process_is_told(client: httpx.Client) -> None:
    """A dashboard shows it."""
    values = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[:1] != "#")
    assert float(values["process_resident_memory_bytes"]) > 10e6
