"""Publishing over real HTTP: what is taken, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    return str(response.json()["error"]["message"])


def nothing_kept(server: Server, client: httpx.Client) -> None:
    assert server.unfinished() == []
    assert server.blobs() == set()
    assert client.get("/v1/bundles").json() == {"bundles": [], "next": None}


def test_published_files_come_back_byte_for_byte(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    response = client.put(bundle.path, content=bundle.tar())
    assert response.status_code == 201, response.text
    info = response.json()
    assert info == client.get(bundle.path).json()
    assert info["manifest_sha256"] == bundle.manifest_sha256
    assert info["created_at"].endswith("Z")
    assert client.get(f"{bundle.path}/manifest").content == bundle.files["manifest.json"]
    assert set(info["files"]) == {"model.tflite", "golden.npz", "model-card.md"}
    for file, entry in info["files"].items():
        assert client.get(f"/v1/blobs/{entry['sha256']}").content == bundle.files[file]
        assert entry["size_bytes"] == len(bundle.files[file])
    assert server.unfinished() == []


def test_same_bundle_again_changes_nothing(make_bundle: MakeBundle, client: httpx.Client) -> None:
    bundle = make_bundle()
    first = client.put(bundle.path, content=bundle.tar())
    again = client.put(bundle.path, content=bundle.tar())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_version_never_changes(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle, other = make_bundle(seed=0), make_bundle(seed=1)
    client.put(bundle.path, content=bundle.tar()).raise_for_status()
    before = server.blobs()
    message = refused(client.put(other.path, content=other.tar()), 409, "version_exists")
    assert bundle.manifest_sha256 in message
    assert client.get(bundle.path).json()["manifest_sha256"] == bundle.manifest_sha256
    assert server.blobs() == before


def test_republishing_heals_a_rotten_blob(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    client.put(bundle.path, content=bundle.tar()).raise_for_status()
    digest = bundle.manifest.files["model.tflite"].sha256
    server.spoil(digest)
    client.put(bundle.path, content=bundle.tar()).raise_for_status()
    assert hashlib.sha256(client.get(f"/v1/blobs/{digest}").content).hexdigest() == digest


def test_wrong_digest(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    flipped = bytearray(bundle.files["model.tflite"])
    flipped[100] ^= 1
    body = make_tar({**bundle.files, "model.tflite": bytes(flipped)})
    message = refused(client.put(bundle.path, content=body), 422, "digest_mismatch")
    assert "model.tflite" in message
    assert bundle.manifest.files["model.tflite"].sha256 in message
    nothing_kept(server, client)


def make_tar(files: dict[str, bytes], *extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member, content in extra:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


STRANGE_MEMBERS = [
    (tar_member("../model.tflite"), "no part of a bundle"),
    (tar_member("/etc/passwd"), "no part of a bundle"),
    (tar_member("sub/model.tflite"), "no part of a bundle"),
    (tar_member("./model.tflite"), "no part of a bundle"),
    (tar_member("evil\n\x1b[2Jname"), "no part of a bundle"),
    (tar_member("a" * 300), "no regular file"),
    (tar_member("model.tflite"), "comes twice"),
    (tar_member("model.tflite", tarfile.SYMTYPE, "/etc/passwd"), "no regular file"),
    (tar_member("model.tflite", tarfile.LNKTYPE, "manifest.json"), "no regular file"),
    (tar_member("model.tflite", tarfile.CHRTYPE), "no regular file"),
    (tar_member("model.tflite", tarfile.FIFOTYPE), "no regular file"),
    (tar_member("folder", tarfile.DIRTYPE), "no regular file"),
    (tar_member("model.tflite", tarfile.GNUTYPE_SPARSE), "no regular file"),
]


def test_strange_members(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    for member, expected in STRANGE_MEMBERS:
        body = make_tar(bundle.files, (member, b""))
        message = refused(client.put(bundle.path, content=body), 422, "malformed_upload")
        assert expected in message
        assert message.isprintable()
        nothing_kept(server, client)


def test_missing_file(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    for file in bundle.files:
        body = make_tar({name: content for name, content in bundle.files.items() if name != file})
        assert f"lacks {file};" in refused(client.put(bundle.path, content=body), 422, "malformed_upload")
        nothing_kept(server, client)


def test_tar_cut_short(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    for kept_bytes in (0, 100, 512, 4000, 512 + 3000 + 512 * 4):
        message = refused(client.put(bundle.path, content=bundle.tar()[:kept_bytes]), 422, "malformed_upload")
        assert "cut short" in message
        nothing_kept(server, client)


def test_body_that_is_no_tar(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    message = refused(client.put(bundle.path, content=b"PK\x03\x04" * 1000), 422, "malformed_upload")
    assert "no uncompressed tar" in message
    nothing_kept(server, client)


def test_tar_with_bytes_after_its_end(make_bundle: MakeBundle, client: httpx.Client) -> None:
    bundle = make_bundle()
    message = refused(client.put(bundle.path, content=bundle.tar() + b"x" * 512), 422, "malformed_upload")
    assert "after its end" in message


def test_manifest_at_the_wrong_address(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle("1.0.0")
    refused(client.put("/v1/bundles/test-net/versions/1.0.1", content=bundle.tar()), 422, "wrong_address")
    refused(client.put("/v1/bundles/other-net/versions/1.0.0", content=bundle.tar()), 422, "wrong_address")
    nothing_kept(server, client)


def test_evaluation_whose_compressed_bytes_are_damaged(
    make_bundle: MakeBundle, server: Server, client: httpx.Client
) -> None:
    """As sealed by somebody whose disk had already flipped the byte: every digest is right."""
    out = io.BytesIO()
    np.savez_compressed(out, dataset=np.array("made"))
    damaged = bytearray(out.getvalue())
    names_bytes = sum(struct.unpack_from("<HH", damaged, 26))
    # The deflate stream's first byte says which kind of block follows; there is no kind 3.
    damaged[30 + names_bytes] |= 0b110
    bundle = make_bundle(evaluation=SimpleNamespace(to_bytes=lambda: bytes(damaged)))
    message = refused(client.put(bundle.path, content=bundle.tar()), 422, "invalid_evaluation")
    assert "invalid block type" in message
    nothing_kept(server, client)


def test_manifest_that_does_not_parse(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    body = make_tar({**bundle.files, "manifest.json": b'{"name": "test-net"}'})
    refused(client.put(bundle.path, content=body), 422, "invalid_manifest")
    nothing_kept(server, client)


def test_manifest_without_parity(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    manifest = bundle.manifest.model_copy(update={"metrics": bundle.manifest.metrics.model_copy(update={"parity": ()})})
    body = make_tar({**bundle.files, "manifest.json": manifest.to_json().encode()})
    assert "parity" in refused(client.put(bundle.path, content=body), 422, "unpublishable_bundle")
    nothing_kept(server, client)


def test_manifest_too_large_to_parse(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    body = make_tar({**bundle.files, "manifest.json": b" " * (1024 * 1024 + 1)})
    refused(client.put(bundle.path, content=body), 422, "malformed_upload")
    nothing_kept(server, client)


def test_wrong_size_in_the_manifest(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle()
    entry = bundle.manifest.files["golden.npz"].model_copy(update={"size_bytes": 1})
    manifest = bundle.manifest.model_copy(update={"files": {**bundle.manifest.files, "golden.npz": entry}})
    body = make_tar({**bundle.files, "manifest.json": manifest.to_json().encode()})
    refused(client.put(bundle.path, content=body), 422, "malformed_upload")
    nothing_kept(server, client)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_in_any_common_format(tar_format: Any, make_bundle: MakeBundle, client: httpx.Client) -> None:
    bundle = make_bundle()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tar_format) as tar:
        for file in bundle.files:
            tar.add(bundle.directory / file, file)
    assert client.put(bundle.path, content=archive.getvalue()).status_code == 201


def test_concurrent_publishes_of_one_bundle(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> None:
    bundle = make_bundle(model_bytes=300_000)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: put(server, bundle), range(8)))
    assert sorted(statuses) == [200] * 7 + [201]
    assert len(client.get("/v1/bundles/test-net/versions").json()["versions"]) == 1
    assert server.unfinished() == []


def test_concurrent_publishes_of_different_bundles_as_one_version(make_bundle: MakeBundle, server: Server) -> None:
    bundles = [make_bundle(seed=seed, model_bytes=300_000) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda bundle: put(server, bundle), bundles))
    assert sorted(statuses) == [201] + [409] * 7
    winner = bundles[statuses.index(201)]
    with server.client() as client:
        assert client.get(winner.path).json()["manifest_sha256"] == winner.manifest_sha256
    assert server.unfinished() == []


def put(server: Server, bundle: Bundle) -> int:
    with server.client() as client:
        return client.put(bundle.path, content=bundle.tar()).status_code
