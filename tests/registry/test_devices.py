"""What devices run, as they report it with tokens of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plumbline_registry.tokens import create_token

if TYPE_CHECKING:
    from tests.registry.conftest import Server

REPORT: dict[str, Any] = {
    "name": "test-net", "channel": "stable", "version": "1.0.0", "manifest_sha256": "a" * 64, "outcome": "ok",
    "judge_name": "form-judge", "judge_version": "0.4.0", "judge_manifest_sha256": "b" * 64,
}  # fmt: skip


def test_newest_report_counts(server: Server, client: httpx.Client) -> None:
    assert client.put("/v1/devices/pi-07", json=REPORT).status_code == 200
    client.put("/v1/devices/pi-07", json={**REPORT, "outcome": "digest_mismatch", "message": "damaged"})
    (device,) = client.get("/v1/devices").json()["devices"]
    assert device.pop("reported_at").endswith("Z")
    assert device == {**REPORT, "device": "pi-07", "outcome": "digest_mismatch", "message": "damaged"}


def test_device_speaks_for_itself_alone(server: Server) -> None:
    with server.client(create_token(server.settings.tokens_file, "pi-07", ("device",))) as device:
        assert device.put("/v1/devices/pi-07", json=REPORT).status_code == 200
        assert device.put("/v1/devices/pi-08", json=REPORT).json()["error"]["code"] == "forbidden"
    with server.client(create_token(server.settings.tokens_file, "ci")) as publisher:
        assert publisher.put("/v1/devices/ci", json=REPORT).json()["error"]["code"] == "forbidden"
    with server.client(None) as stranger:
        assert stranger.put("/v1/devices/pi-07", json=REPORT).json()["error"]["code"] == "unauthorised"


def test_report_that_is_none(client: httpx.Client) -> None:
    for changes in ({"channel": "prod"}, {"outcome": "Not a word"}, {"version": "1"}, {"message": "x" * 2001}):
        answer = client.put("/v1/devices/pi-07", json={**REPORT, **changes})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request"), changes
    assert client.put("/v1/devices/pi-07", content=b"{" * 20_000).json()["error"]["code"] == "upload_too_large"


def test_control_characters_of_a_message_are_dropped_and_the_report_is_kept(client: httpx.Client) -> None:
    """PostgreSQL's text holds no NUL."""
    answer = client.put("/v1/devices/pi-07", json={**REPORT, "outcome": "error", "message": "a\0b\x1b[1m\nc\td\x7f"})
    assert answer.status_code == 200
    (device,) = client.get("/v1/devices").json()["devices"]
    assert device["message"] == "ab[1m\nc\td"


@pytest.mark.parametrize(
    "address",
    [
        "/v1/devices?after=",
        "/v1/bundles?search=",
        "/v1/bundles?after=",
        "/?after=",
        "/devices?after=",
        "/v1/bundles/test-net/versions?search=",
    ],
)
def test_control_characters_in_a_query_are_refused(client: httpx.Client, address: str) -> None:
    for character in ("%00", "%1F", "%7F"):
        answer = client.get(f"{address}a{character}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


def test_pages_hold_every_device_once(client: httpx.Client) -> None:
    names = [f"pi-{number:02}" for number in range(7)]
    for name in reversed(names):
        client.put(f"/v1/devices/{name}", json=REPORT).raise_for_status()
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = client.get("/v1/devices", params={"after": after, "limit": 3}).json()
        seen += [device["device"] for device in page["devices"]]
        after = page["next"]
    assert seen == names
