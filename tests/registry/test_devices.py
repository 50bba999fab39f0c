"""What devices run, as they report it with tokens of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from plumbline_registry.tokens import create_token

if TYPE_CHECKING:
    from tests.registry.conftest import Server

REPORT: dict[str, Any] = {
    "name": "test-net", "channel": "stable", "version": "1.0.0", "manifest_sha256": "a" * 64, "outcome": "ok",
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
