"""Reading, channels and the one shape of errors, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]
CHANNEL = "/v1/bundles/test-net/channels"


def publish(client: httpx.Client, *bundles: Bundle) -> None:
    for bundle in bundles:
        client.put(bundle.path, content=bundle.tar()).raise_for_status()


def test_latest_is_by_precedence_and_the_list_by_time(make_bundle: MakeBundle, client: httpx.Client) -> None:
    publish(client, *(make_bundle(version) for version in ("1.10.0", "1.9.0", "1.10.0-rc.1")))
    publish(client, make_bundle(name="another-net"))
    assert client.get("/v1/bundles").json() == {
        "bundles": [
            {"name": "another-net", "versions": 1, "latest": "1.0.0"},
            {"name": "test-net", "versions": 3, "latest": "1.10.0"},
        ],
        "next": None,
    }
    versions = client.get("/v1/bundles/test-net/versions").json()["versions"]
    assert [version["version"] for version in versions] == ["1.10.0-rc.1", "1.9.0", "1.10.0"]


def test_channel_moves_and_remembers(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("1.1.0")
    publish(client, first, second)
    operator = server.operator()
    for bundle, reason in ((first, "first"), (second, "better"), (first, "worse on the gym clips")):
        operator.promote("stable", bundle, reason)
    now = client.get(f"{CHANNEL}/stable").json()
    assert now | {"updated_at": None} == {
        "name": "test-net",
        "channel": "stable",
        "version": "1.0.0",
        "manifest_sha256": first.manifest_sha256,
        "updated_at": None,
        "metadata_version": 4,
    }
    history = client.get(f"{CHANNEL}/stable/history").json()["history"]
    assert [(move["version"], move["actor"], move["reason"], move["metadata_version"]) for move in history] == [
        ("1.0.0", "publisher", "worse on the gym clips", 4),
        ("1.1.0", "publisher", "better", 3),
        ("1.0.0", "publisher", "first", 2),
    ]
    assert history[0]["changed_at"] == now["updated_at"] > history[1]["changed_at"] > history[2]["changed_at"]
    assert client.get(f"{CHANNEL}/canary").json()["error"]["code"] == "channel_empty"


def test_promoting_what_is_there_adds_nothing(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    publish(client, bundle)
    server.operator().promote("dev", bundle, "once")
    before = client.get("/v1/metadata").json()
    server.operator().promote("dev", bundle, "twice")
    assert client.get("/v1/metadata").json() == before
    assert [move["reason"] for move in client.get(f"{CHANNEL}/dev/history").json()["history"]] == ["once"]


def test_catalogue_survives_a_restart(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    bundle, server = make_bundle(), serve()
    with server.client() as client:
        publish(client, bundle)
        server.operator().promote("stable", bundle)
        before = (client.get("/v1/bundles/test-net/versions").json(), client.get(f"{CHANNEL}/stable").json())
    with serve().client() as client:
        assert (client.get("/v1/bundles/test-net/versions").json(), client.get(f"{CHANNEL}/stable").json()) == before


@pytest.fixture
def blob(make_bundle: MakeBundle, client: httpx.Client) -> tuple[str, bytes]:
    """Path and content of a published file."""
    bundle = make_bundle()
    publish(client, bundle)
    return f"/v1/blobs/{bundle.manifest.files['model.tflite'].sha256}", bundle.files["model.tflite"]


def test_blob_is_cacheable_for_ever(blob: tuple[str, bytes], client: httpx.Client) -> None:
    path, content = blob
    response = client.get(path)
    assert response.headers["etag"] == f'"{path.rpartition("/")[2]}"'
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-length"] == str(len(content))
    again = client.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")


def test_blob_in_part(blob: tuple[str, bytes], client: httpx.Client) -> None:
    path, content = blob
    for value, begin, end in (("bytes=0-99", 0, 100), ("bytes=4000-", 4000, 5000), ("bytes=-7", 4993, 5000)):
        response = client.get(path, headers={"Range": value})
        assert response.status_code == 206
        assert response.content == content[begin:end]
        assert response.headers["content-range"] == f"bytes {begin}-{end - 1}/5000"


def test_range_that_cannot_be_served(blob: tuple[str, bytes], client: httpx.Client) -> None:
    for value in ("5000-", "9-3", "-0", "-", "a-b", "0-1,5-9", "99999999999999999999-"):
        response = client.get(blob[0], headers={"Range": f"bytes={value}"})
        assert error_of(response) == (416, "unsatisfiable_range"), value
    assert error_of(client.get(blob[0], headers={"Range": "lines=1-2"})) == (416, "unsatisfiable_range")


def test_range_of_another_file_gives_the_whole(blob: tuple[str, bytes], client: httpx.Client) -> None:
    response = client.get(blob[0], headers={"Range": "bytes=9999-", "If-Range": '"something else"'})
    assert (response.status_code, response.content) == (200, blob[1])


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose shape is always the same."""
    body = response.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message"]
    assert all(isinstance(value, str) and value for value in body["error"].values())
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["error"]["code"]


REFUSALS: list[tuple[str, str, dict[str, Any], tuple[int, str]]] = [
    ("GET", "/v1/bundles/no-net/versions", {}, (404, "unknown_bundle")),
    ("GET", "/v1/bundles/no-net/versions/1.0.0", {}, (404, "unknown_bundle")),
    ("GET", "/v1/bundles/test-net/versions/9.9.9", {}, (404, "unknown_version")),
    ("GET", "/v1/bundles/test-net/versions/9.9.9/manifest", {}, (404, "unknown_version")),
    ("GET", "/v1/bundles/no-net/channels/dev", {}, (404, "unknown_bundle")),
    ("GET", "/v1/bundles/no-net/channels/dev/history", {}, (404, "unknown_bundle")),
    ("GET", "/v1/bundles/test-net/channels/dev/history", {}, (404, "channel_empty")),
    ("GET", f"/v1/blobs/{'0' * 64}", {}, (404, "unknown_blob")),
    ("GET", "/v1/blobs/..%2f..%2fetc%2fpasswd", {}, (404, "no_such_route")),
    ("GET", f"/v1/blobs/{'F' * 64}", {}, (422, "invalid_request")),
    ("GET", "/v1/bundles/Bad_Name/versions", {}, (422, "invalid_request")),
    ("GET", "/v1/bundles/test-net/channels/prod", {}, (422, "invalid_request")),
    ("PUT", "/v1/bundles/test-net/versions/1.0", {"content": b""}, (422, "invalid_request")),
    ("POST", "/v1/metadata", {"json": {"documents": {}}}, (422, "invalid_request")),
    ("POST", "/v1/metadata", {"json": {"documents": {"prod": "{}"}}}, (422, "invalid_request")),
    ("POST", "/v1/metadata", {"json": ["stable"]}, (422, "invalid_request")),
    ("POST", "/v1/metadata", {"content": b"\xff{"}, (422, "invalid_request")),
    ("POST", "/v1/metadata", {"content": b" " * 5_000_000}, (413, "upload_too_large")),
    ("POST", "/v1/metadata", {"json": {"documents": {"stable": "{}"}}}, (422, "invalid_metadata")),
    ("GET", "/tuf/metadata/timestamp.json", {}, (404, "unknown_metadata")),
    ("GET", "/tuf/metadata/1.root.json", {}, (404, "unknown_metadata")),
    ("GET", "/tuf/metadata/stable.json", {}, (422, "invalid_request")),
    ("GET", f"/tuf/targets/stable/x/{'0' * 64}.manifest.json", {}, (404, "unknown_blob")),
    ("PUT", f"{CHANNEL}/dev", {"json": {"version": "1.0.0"}}, (405, "method_not_allowed")),
    ("GET", "/nowhere", {}, (404, "no_such_route")),
    ("DELETE", "/v1/bundles", {}, (405, "method_not_allowed")),
]


def test_every_error_has_one_shape(make_bundle: MakeBundle, client: httpx.Client) -> None:
    publish(client, make_bundle())
    for method, path, options, expected in REFUSALS:
        assert error_of(client.request(method, path, **options)) == expected, (method, path, options)


def test_every_answer_keeps_browsers_in_bounds(blob: tuple[str, bytes], client: httpx.Client) -> None:
    for path in (blob[0], "/healthz", "/nowhere", "/tuf/metadata/1.root.json", "/docs"):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY"), path


def spoil(server: Server, statement: str) -> None:
    """Change the database behind the registry's back."""
    engine = create_engine(server.settings.database_url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_fault_of_the_registry_has_the_shape_too(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    publish(client, make_bundle())
    spoil(server, "UPDATE versions SET manifest_sha256 = 'no digest'")
    assert error_of(client.get("/v1/bundles/test-net/versions")) == (500, "internal_error")


def test_lost_database_is_seen_everywhere(server: Server, client: httpx.Client) -> None:
    spoil(server, "ALTER TABLE versions RENAME TO lost")
    assert error_of(client.get("/v1/bundles")) == (503, "storage_unavailable")
    assert error_of(client.get("/readyz")) == (503, "storage_unavailable")
    assert "\nplumbline_registry_database_up 0.0\n" in client.get("/metrics").text
    assert client.get("/healthz").json() == {"status": "alive"}


def test_writing_needs_a_known_token(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    publish(client, bundle)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic cHVibGlzaGVyOng="}):
        with server.client(None) as stranger:
            stranger.headers.update(headers)
            sent = {"documents": {"dev": "{}"}}
            for response in (stranger.put(bundle.path, content=bundle.tar()), stranger.post("/v1/metadata", json=sent)):
                assert error_of(response) == (401, "unauthorised")
                assert response.headers["www-authenticate"] == "Bearer"
            assert stranger.get(bundle.path).status_code == 200


def test_without_any_token_nobody_writes(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    bundle = make_bundle()
    with serve(write_token=None).client() as client:
        assert error_of(client.put(bundle.path, content=bundle.tar())) == (403, "writes_disabled")


def test_openapi_describes_what_is_served(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    operations = list(_operations(document))
    assert len(operations) == 20
    for address, operation in operations:
        assert operation["summary"], address
        assert operation["description"], address
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (address, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    publishing = document["paths"]["/v1/bundles/{name}/versions/{version}"]["put"]
    assert list(publishing["requestBody"]["content"]) == ["application/x-tar"]
    assert publishing["security"]
    assert json.dumps(document).count('"examples"') > 10


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation
