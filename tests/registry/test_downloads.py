"""Who sends files: the registry itself, nginx after the registry authorised, or the object store by a signed link."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from infra.registry_front import nginx
from pydantic import ValidationError

from plumbline_edge.registry_client import RegistryClient
from plumbline_registry.settings import Settings

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]


def published(server: Server, bundle: Bundle) -> str:
    """Where the model of the bundle is, once it is published."""
    with server.client() as client:
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
    return f"/v1/blobs/{bundle.manifest.files['model.tflite'].sha256}"


def device_resumes(url: str, path: str, content: bytes, folder: Path) -> None:
    """The device's own client, with the first thousand bytes there from an earlier attempt."""
    folder.mkdir()
    (folder / "model.tflite.part").write_bytes(content[:1000])
    with RegistryClient(url, 10) as device:
        device.download(path.rpartition("/")[2], len(content), folder / "model.tflite")
    assert (folder / "model.tflite").read_bytes() == content


@pytest.mark.nginx
def test_registry_authorises_and_nginx_sends(
    make_bundle: MakeBundle, serve: Callable[..., Server], tmp_path: Path
) -> None:
    bundle, server = make_bundle(model_bytes=300_000), serve(downloads="accel")
    path, content = published(server, bundle), bundle.files["model.tflite"]
    direct = httpx.get(server.url + path)
    assert (direct.content, direct.headers["x-accel-redirect"][:16]) == (b"", "/_blobs/sha256/" + path[10])
    with nginx(tmp_path / "nginx", server.url, server.settings.blob_dir) as url, httpx.Client(base_url=url) as client:
        whole = client.get(path)
        assert (whole.content, whole.headers["etag"]) == (content, f'"{path[10:]}"')
        assert "immutable" in whole.headers["cache-control"]
        assert "x-accel-redirect" not in whole.headers
        part = client.get(path, headers={"Range": "bytes=1000-"})
        assert (part.status_code, part.content) == (206, content[1000:])
        assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
        assert client.get(f"/v1/blobs/{'0' * 64}").json()["error"]["code"] == "unknown_blob"
        # What is nginx's own is nobody else's.
        assert client.get(f"/_blobs/sha256/{path[10:12]}/{path[10:]}").status_code == 404
        assert client.get(f"{bundle.path}/manifest").content == bundle.files["manifest.json"]
        device_resumes(url, path, content, tmp_path / "device")
        newer = make_bundle("2.0.0", model_bytes=3_000_000)
        authorization = {"Authorization": "Bearer a-token-for-tests-only"}
        assert client.put(newer.path, content=newer.tar(), headers=authorization).status_code == 201


@pytest.mark.objects
def test_link_leads_to_the_object_store_and_ends(
    make_bundle: MakeBundle, serve: Callable[..., Server], tmp_path: Path
) -> None:
    bundle, server = make_bundle(model_bytes=300_000), serve(downloads="redirect", link_seconds=10)
    path, content = published(server, bundle), bundle.files["model.tflite"]
    redirect = httpx.get(server.url + path)
    assert (redirect.status_code, redirect.headers["cache-control"]) == (307, "no-store")
    link = redirect.headers["location"]
    assert link.startswith(f"{server.settings.s3_endpoint}/bundles/")
    assert httpx.get(link).content == content
    followed = httpx.get(server.url + path, headers={"Range": "bytes=1000-"}, follow_redirects=True)
    assert (followed.status_code, followed.content) == (206, content[1000:])
    device_resumes(server.url, path, content, tmp_path / "device")
    assert httpx.get(link.split("?")[0]).status_code == 403
    assert httpx.get(link.replace(path[10:], "0" * 64)).status_code == 403
    assert httpx.get(f"{server.url}/v1/blobs/{'0' * 64}").json()["error"]["code"] == "unknown_blob"
    # Manifests are small, and TUF clients follow no links.
    assert httpx.get(f"{server.url}{bundle.path}/manifest").content == bundle.files["manifest.json"]
    time.sleep(11)
    assert httpx.get(link).status_code == 403


@pytest.mark.objects
def test_object_store_that_goes_away_is_told(make_bundle: MakeBundle, serve: Callable[..., Server]) -> None:
    server = serve(s3_endpoint="http://127.0.0.1:1")
    with server.client() as client:
        bundle = make_bundle()
        answer = client.put(bundle.path, content=bundle.tar())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
        assert "Debug" not in answer.json()["error"]["message"]
        assert client.get("/readyz").status_code == 503
        assert client.get(bundle.path).status_code == 404


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"downloads": "redirect"}, "a folder has no links"),
        ({"downloads": "accel", "s3_bucket": "bundles"}, "use 'redirect'"),
        ({"s3_bucket": "bundles", "s3_access_key_id": "only-one"}, "belong together"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(given)
