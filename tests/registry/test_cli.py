"""The command line against a real registry: what it prints, and one clear line for what a user got wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from plumbline_registry import cli_trust
from plumbline_registry.cli import main
from plumbline_registry.client import RegistryClient
from plumbline_registry.trust.keys import KeysFolder
from plumbline_registry.trust.roles import SNAPSHOT, TIMESTAMP
from plumbline_registry.trust.signer import sign_once

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server, ServerProcess

TOKEN = "a-token-for-tests-only"
MakeBundle = Callable[..., "Bundle"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """run(*arguments) -> exit code, stdout, stderr."""
    monkeypatch.setenv("PLUMBLINE_REGISTRY_TOKEN", TOKEN)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def fails(result: tuple[int, str, str]) -> str:
    """The one line of a failure."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_publish_promote_list(make_bundle: MakeBundle, server: Server, run: Run, tmp_path: Path) -> None:
    bundle = make_bundle("1.2.0")
    assert run("list", "--url", server.url) == (0, "", "")
    code, out, _ = run("publish", bundle.directory, "--url", server.url)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("published test-net 1.2.0, ")
    assert bundle.manifest_sha256 in out
    assert run("publish", bundle.directory, "--url", server.url)[1].startswith("already there: test-net 1.2.0")
    keys = ("--keys", tmp_path / "keys", "--url", server.url)
    assert "root.json: copy it to them" in run("init", *keys)[1]
    code, out, _ = run("promote", "test-net", "1.2.0", "stable", "--reason", "first", *keys)
    assert (code, out) == (0, f"test-net stable gives 1.2.0, manifest sha256 {bundle.manifest_sha256}\n")
    assert run("sign", *keys)[1] == "nothing to sign\n"
    assert run("renew", *keys)[1] == "nothing to renew with the keys that are here\n"
    assert run("list", "--url", server.url)[1] == "test-net  1 version(s), latest 1.2.0  stable=1.2.0\n"
    listed = run("list", "test-net", "--url", server.url)[1]
    assert listed.startswith("1.2.0  ")
    assert listed.endswith(f"{bundle.manifest_sha256}  stable\n")


def test_token_made_by_the_command_may_write(make_bundle: MakeBundle, serve: Callable[..., Server], run: Run) -> None:
    server = serve(write_token=None)
    scopes = ("--scope", "admin", "--scope", "publish", "--scope", "promote", "--scope", "sign")
    code, token, note = run("token", "--name", "ci", *scopes, "--tokens-file", server.settings.tokens_file)
    assert code == 0
    assert token.strip() not in note
    token_file = server.settings.blob_dir.parent / "ci.token"
    token_file.write_text(token)
    connection = ("--url", server.url, "--token-file", token_file)
    assert run("publish", make_bundle().directory, *connection)[0] == 0
    keys = ("--keys", server.settings.blob_dir.parent / "keys")
    assert run("init", *keys, *connection)[0] == 0
    assert run("promote", "test-net", "1.0.0", "dev", "--reason", "a test", *keys, *connection)[0] == 0
    history = httpx.get(f"{server.url}/v1/bundles/test-net/channels/dev/history").json()["history"]
    assert [move["actor"] for move in history] == ["ci"]


def test_two_versions_are_compared(make_bundle: MakeBundle, server: Server, run: Run) -> None:
    for bundle in (make_bundle("1.0.0"), make_bundle("1.1.0", ap=0.54, recipe="another")):
        assert run("publish", bundle.directory, "--url", server.url)[0] == 0
    code, out, _ = run("compare", "test-net", "1.0.0", "1.1.0", "--url", server.url)
    assert code == 0
    assert "AP tflite fp32 made: 0.5 -> 0.54  +0.04\n" in out
    assert out.endswith('lineage.recipe: "test" -> "another"\n')


def test_bundle_that_does_not_pass_the_gates_is_told_why(
    make_bundle: MakeBundle, server: Server, run: Run, tmp_path: Path
) -> None:
    keys = ("--keys", tmp_path / "keys", "--url", server.url)
    assert run("init", *keys)[0] == 0
    for bundle in (make_bundle("1.0.0"), make_bundle("1.1.0", ap=0.1)):
        assert run("publish", bundle.directory, "--url", server.url)[0] == 0
    assert run("promote", "test-net", "1.0.0", "stable", "--reason", "first", *keys)[0] == 0
    promotion = ("promote", "test-net", "1.1.0", "stable", "--reason", "second", *keys)
    assert "(gate_refused): test-net 1.1.0 does not pass into stable: ap: -0.4000" in fails(run(*promotion))
    assert run(*promotion, "--waive-gates")[0] == 0


def signers_hour(run: Run, keys: Path, *connection: object) -> Path:
    """The folder as an operator has it whose signer runs elsewhere; and a promotion that it has not published yet."""
    operators = keys.with_name("operators")
    shutil.copytree(keys, operators)
    for role in (SNAPSHOT, TIMESTAMP):
        for path in (operators / "private").glob(f"{role}*"):
            path.unlink()
    waiting = ("promote", "test-net", "1.0.0", "dev", "--reason", "first", "--keys", operators, *connection)
    assert "no signer published it" in fails(run(*waiting))
    return operators


def test_a_promotion_on_top_of_one_that_waits_for_the_signer_waits_too(
    make_bundle: MakeBundle, server: Server, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ("--url", server.url)
    assert run("init", "--keys", tmp_path / "keys", *connection)[0] == 0
    for name in ("test-net", "other-net"):
        assert run("publish", make_bundle("1.0.0", name=name).directory, *connection)[0] == 0
    monkeypatch.setattr(cli_trust, "_SIGNER_SECONDS", 0.1)
    operators = signers_hour(run, tmp_path / "keys", *connection)
    second = ("promote", "other-net", "1.0.0", "dev", "--reason", "second", "--keys", operators, *connection)
    assert "dev 2 was accepted, but no signer published it" in fails(run(*second))
    monkeypatch.setattr(cli_trust, "_SIGNER_SECONDS", 30.0)
    done = threading.Event()

    def sign() -> None:
        # Later than who gave up after five tries would have heard of it.
        while not done.wait(4.0):
            with RegistryClient(server.url, TOKEN) as client:
                sign_once(client, KeysFolder(tmp_path / "keys"))

    signer = threading.Thread(target=sign)
    signer.start()
    try:
        assert run(*second)[0] == 0
    finally:
        done.set()
        signer.join()


def test_registry_that_is_down(make_bundle: MakeBundle, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for command in (("publish", make_bundle().directory), ("list",)):
        assert f"no registry answers at '{url}'" in fails(run(*command, "--url", url))


def test_interrupted_while_waiting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def interrupt() -> None:
                with listener.accept()[0] as connection:
                    connection.recv(1)
                    os.kill(os.getpid(), signal.SIGINT)
                    ended.wait(10)

            ended = threading.Event()
            thread = threading.Thread(target=interrupt)
            thread.start()
            line = fails(run("list", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}"))
            ended.set()
            thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in line


def test_name_with_slashes_is_not_another_name(make_bundle: MakeBundle, server: Server, run: Run) -> None:
    run("publish", make_bundle().directory, "--url", server.url)
    promote = ("promote", "x/../test-net", "1.0.0", "dev", "--reason", "x", "--url", server.url)
    assert "(no_such_route)" in fails(run(*promote))
    assert "(no_such_route)" in fails(run("list", "x/../test-net", "--url", server.url))


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[::bad", ""])
def test_address_that_is_none(url: str, run: Run) -> None:
    fails(run("list", "--url", url))


def test_address_of_something_else(server: Server, run: Run) -> None:
    assert "check the address" in fails(run("list", "--url", f"{server.url}/docs?"))


def test_wrong_digest_is_found_before_anything_is_sent(make_bundle: MakeBundle, run: Run) -> None:
    bundle = make_bundle()
    (bundle.directory / "model.tflite").write_bytes(b"changed")
    line = fails(run("publish", bundle.directory, "--url", "http://127.0.0.1:9"))
    assert "model.tflite" in line
    assert "sha256" in line


def test_wrong_token(make_bundle: MakeBundle, server: Server, run: Run, tmp_path: Path) -> None:
    token_file = tmp_path / "wrong.token"
    token_file.write_text("wrong\n")
    publish = ("publish", make_bundle().directory, "--url", server.url, "--token-file", token_file)
    assert "(unauthorised)" in fails(run(*publish))
    token_file.write_text("two words")
    assert "more than one word" in fails(run(*publish))
    token_file.unlink()
    assert "wrong.token" in fails(run(*publish))


def test_no_token(make_bundle: MakeBundle, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUMBLINE_REGISTRY_TOKEN")
    assert "--token-file" in fails(run("publish", make_bundle().directory))


def test_directory_that_is_no_bundle(run: Run, tmp_path: Path) -> None:
    assert "manifest.json" in fails(run("publish", tmp_path))
    assert "manifest.json" in fails(run("publish", tmp_path / "nothing"))


def test_version_published_with_other_contents(make_bundle: MakeBundle, server: Server, run: Run) -> None:
    assert run("publish", make_bundle(seed=0).directory, "--url", server.url)[0] == 0
    assert "(version_exists)" in fails(run("publish", make_bundle(seed=1).directory, "--url", server.url))


def test_promotion_that_makes_no_sense(make_bundle: MakeBundle, server: Server, run: Run, tmp_path: Path) -> None:
    def promote(*arguments: object) -> str:
        return fails(run("promote", *arguments, "--keys", tmp_path / "keys", "--url", server.url))

    assert "(unknown_bundle)" in promote("no-net", "1.0.0", "dev", "--reason", "x")
    assert "'one'" in promote("no-net", "one", "dev", "--reason", "x")
    assert "(no_such_route)" in promote("a/b", "1.0.0", "dev", "--reason", "x")
    run("publish", make_bundle().directory, "--url", server.url)
    assert "signing for dev needs it" in promote("test-net", "1.0.0", "dev", "--reason", "x")
    run("init", "--keys", tmp_path / "keys", "--url", server.url)
    assert "1 to 500 characters" in promote("test-net", "1.0.0", "dev", "--reason", " ")
    assert "nothing was signed" in promote("test-net", "1.0.0", "dev", "--reason", "x", "--sha256", "0" * 64)
    assert "holds keys already" in fails(run("init", "--keys", tmp_path / "keys", "--url", server.url))
    assert "has its metadata already" in fails(run("init", "--keys", tmp_path / "other", "--url", server.url))


def test_server_that_cannot_start(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_REGISTRY_DATABASE_URL", f"sqlite:///{tmp_path}/registry.sqlite3")
    monkeypatch.setenv("PLUMBLINE_REGISTRY_BLOB_DIR", str(tmp_path / "blobs"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen" in fails(run("serve", "--port", taken.getsockname()[1]))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    assert "blob folder" in fails(run("serve", "--port", 0, "--blob-dir", tmp_path / "file"))
    assert "file is not a database" in fails(run("serve", "--port", 0, "--database-url", f"sqlite:///{tmp_path}/file"))
    assert "nosuchdb" in fails(run("serve", "--port", 0, "--database-url", "nosuchdb://x"))
    assert "SQLite needs a file" in fails(run("serve", "--port", 0, "--database-url", "sqlite://"))
    assert "PLUMBLINE_REGISTRY_MAX_BUNDLE_BYTES" in fails(run("serve", "--max-bundle-bytes", 1))
    monkeypatch.setenv("PLUMBLINE_REGISTRY_WRITE_TOKEN", "short")
    assert "short" not in fails(run("serve", "--port", 0)).replace("too short", "")


def test_serve_ends_when_told(serve_process: Callable[..., ServerProcess]) -> None:
    server = serve_process()
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready"}
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) == 0
    assert list((server.settings.blob_dir / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["token", "--days", "0"], "--days: 0 must be from 1 to 36500"),
        (["token", "--days", "-3"], "--days: -3 must be from 1 to 36500"),
        (["gc", "--min-age-seconds", "nan"], "--min-age-seconds: nan must be from -1000000000.0"),
        (["gc", "--min-age-seconds", "1e300"], "--min-age-seconds: 1e300 must be from -1000000000.0"),
        (["sign", "--keys", "keys", "--every", "-1"], "--every: -1 must be from 0.1"),
        (["sign", "--keys", "keys", "--every", "soon"], "--every: 'soon' is no number"),
    ],
)
def test_numbers_out_of_bounds_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err
