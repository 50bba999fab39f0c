"""Finding, comparing and limiting: pages, search, two versions beside each other, quota, rate limits, the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from plumbline_registry.client import RegistryClient
from plumbline_registry.tokens import create_token

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]


def publish(client: httpx.Client, *bundles: Bundle) -> None:
    for bundle in bundles:
        client.put(bundle.path, content=bundle.tar()).raise_for_status()


def pages(client: httpx.Client, path: str, key: str, field: str, **query: Any) -> list[list[str]]:
    """Every page's entries, following `next`."""
    found: list[list[str]] = []
    after: dict[str, Any] = {}
    while True:
        page = client.get(path, params={**query, **after}).raise_for_status().json()
        found.append([entry[field] for entry in page[key]])
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def test_versions_come_in_pages_that_leave_nothing_out(make_bundle: MakeBundle, server: Server) -> None:
    numbers = [f"1.{minor}.0" for minor in range(7)]
    with server.client() as client:
        publish(client, *(make_bundle(number) for number in numbers))
        found = pages(client, "/v1/bundles/test-net/versions", "versions", "version", limit=3)
        assert found == [numbers[:3:-1], numbers[3:0:-1], numbers[:1]]
        # A version that comes meanwhile moves no page.
        first = client.get("/v1/bundles/test-net/versions", params={"limit": 3}).json()
        publish(client, make_bundle("2.0.0"))
        rest = client.get("/v1/bundles/test-net/versions", params={"after": first["next"]}).json()["versions"]
        assert [version["version"] for version in rest] == numbers[3::-1]
        unknown = client.get("/v1/bundles/test-net/versions", params={"after": "9.9.9"})
        assert unknown.json()["error"]["code"] == "unknown_version"
    with RegistryClient(server.url) as registry:
        assert [info.version for info in registry.versions("test-net")] == ["2.0.0", *numbers[::-1]]


def test_bundles_come_in_pages_and_are_searched(make_bundle: MakeBundle, client: httpx.Client) -> None:
    for name in ("a-net", "b-net", "b-pose", "c-net"):
        publish(client, make_bundle(name=name))
    assert pages(client, "/v1/bundles", "bundles", "name", limit=3) == [["a-net", "b-net", "b-pose"], ["c-net"]]
    assert pages(client, "/v1/bundles", "bundles", "name", search="b-") == [["b-net", "b-pose"]]
    # What is a wildcard in SQL is a letter here.
    assert pages(client, "/v1/bundles", "bundles", "name", search="%") == [[]]
    publish(client, make_bundle("1.1.0-rc.1", name="a-net"))
    found = pages(client, "/v1/bundles/a-net/versions", "versions", "version", search="rc")
    assert found == [["1.1.0-rc.1"]]


def test_two_versions_beside_each_other(make_bundle: MakeBundle, client: httpx.Client) -> None:
    before = make_bundle("1.0.0")
    after = make_bundle("1.1.0", model_bytes=6000, ap=0.54, recipe="another")
    publish(client, before, after)
    found = client.get("/v1/bundles/test-net/compare", params={"before": "1.0.0", "after": "1.1.0"}).json()
    figures = {item["field"]: item for item in found["metrics"]}
    ap = figures["AP tflite fp32 made"]
    assert (ap["before"], ap["after"], round(ap["change"], 6)) == (0.5, 0.54, 0.04)
    assert figures["bytes model.tflite"]["change"] == 1000
    assert found["lineage"] == [{"field": "lineage.recipe", "before": '"test"', "after": '"another"'}]
    assert found["other"] == []
    same = client.get("/v1/bundles/test-net/compare", params={"before": "1.0.0", "after": "1.0.0"}).json()
    assert (same["lineage"], same["other"], set(same["same_files"])) == ([], [], set(before.manifest.files))
    lost = client.get("/v1/bundles/test-net/compare", params={"before": "1.0.0", "after": "3.0.0"})
    assert lost.json()["error"]["code"] == "unknown_version"


def test_quota_is_kept_and_frees_with_deletion(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    first, second = make_bundle("1.0.0", model_bytes=20_000), make_bundle("1.1.0", model_bytes=20_000, seed=1)
    with serve(quota_bytes=30_000).client() as client:
        publish(client, first)
        refused = client.put(second.path, content=second.tar())
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "quota_exceeded")
        assert "allowed are 30000" in refused.json()["error"]["message"]
        assert client.get(second.path).status_code == 404
        client.delete(first.path).raise_for_status()
        publish(client, second)


def test_blobs_that_versions_share_count_once(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    with serve(quota_bytes=40_000).client() as client:
        publish(client, *(make_bundle(f"1.{minor}.0", model_bytes=20_000) for minor in range(3)))


def test_too_many_requests_are_told_when_to_come_back(serve: Callable[..., Server]) -> None:
    with serve(reads_per_minute=5).client() as client:
        statuses = [client.get("/v1/bundles").status_code for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        refused = client.get("/v1/bundles")
        assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("too_many_requests", "60")
        assert client.get("/healthz").status_code == 200


def test_tokens_cannot_be_guessed_at_any_speed(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    server, bundle = serve(refusals_per_minute=3), make_bundle()
    with server.client("a wrong token") as stranger:
        statuses = [stranger.put(bundle.path, content=b"").status_code for _ in range(5)]
    assert statuses == [401] * 3 + [429] * 2
    with server.client(None) as reader:
        assert reader.get("/v1/bundles").status_code == 200


def test_addresses_are_told_apart_behind_a_proxy(serve: Callable[..., Server]) -> None:
    with serve(reads_per_minute=2).client() as client:
        for address in ("192.0.2.1", "192.0.2.2"):
            headers = {"X-Forwarded-For": address}
            assert [client.get("/v1/bundles", headers=headers).status_code for _ in range(3)] == [200, 200, 429]


def test_every_change_and_refusal_is_in_the_audit_log(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("1.1.0", ap=0.1)
    publish(client, first, first, second)
    operator = server.operator()
    operator.promote("stable", first, "good")
    refused = operator.refused("stable", second)
    assert "gate_refused" in refused
    client.delete(second.path).raise_for_status()
    entries = client.get("/v1/audit").raise_for_status().json()["entries"]
    seen = [(entry["action"], entry["subject"]) for entry in entries if entry["action"] != "metadata"]
    assert seen == [
        ("delete", "test-net 1.1.0"),
        ("refuse", "stable"),
        ("promote", "test-net 1.0.0 to stable"),
        ("publish", "test-net 1.1.0"),
        ("publish", "test-net 1.0.0"),
    ]
    assert {entry["actor"] for entry in entries} == {"publisher"}
    promoted = next(entry for entry in entries if entry["action"] == "promote")
    assert promoted["detail"].startswith("good; gates: ap: 0.5000 on made, the first here")


def test_audit_log_comes_in_pages_and_only_to_administrators(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    publish(client, *(make_bundle(f"1.{minor}.0") for minor in range(3)))
    first = client.get("/v1/audit", params={"limit": 2}).json()
    rest = client.get("/v1/audit", params={"before": first["next"]}).json()
    subjects = [entry["subject"] for entry in first["entries"] + rest["entries"]]
    assert subjects == ["test-net 1.2.0", "test-net 1.1.0", "test-net 1.0.0"]
    token = create_token(server.settings.tokens_file, "limited", ("publish", "promote", "sign"))
    with server.client(token) as limited, server.client(None) as stranger:
        assert limited.get("/v1/audit").json()["error"]["code"] == "forbidden"
        assert stranger.get("/v1/audit").json()["error"]["code"] == "unauthorised"
