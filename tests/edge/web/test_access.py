"""The page's token: made once, whole, and never over another process's; and who needs it."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from starlette.responses import PlainTextResponse

from plumbline_edge.errors import InvalidSettings
from plumbline_edge.settings import load_settings
from plumbline_edge.web.access import Access, TokenGate, access_of

ELSEWHERE = "192.0.2.1"
TOKEN = "a-token-of-some-length"


def token_of(file: Path) -> str:
    token = access_of(load_settings(host=ELSEWHERE, token_file=file)).token
    assert token is not None
    return token


def test_a_token_is_made_where_there_is_none_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "state" / "page-token"
    token = token_of(file)
    assert len(token) == 32
    assert file.read_text() == token == token_of(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["page-token"]


def test_a_token_of_ones_own_survives_the_address(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    file.write_text("ab+cd/ef&gh=ij#klmnop")
    query = access_of(load_settings(host=ELSEWHERE, token_file=file)).query
    assert parse_qs(query.removeprefix("?")) == {"token": ["ab+cd/ef&gh=ij#klmnop"]}


def test_the_empty_file_that_a_power_cut_left_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    file.touch(mode=0o644)
    assert token_of(file) == file.read_text() != ""
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["page-token"]


def test_a_token_that_is_too_short_stays_and_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    for short in ("short", "\n"):
        file.write_text(short)
        with pytest.raises(InvalidSettings, match="shorter than 16 characters; remove the file"):
            token_of(file)
        assert file.read_text() == short


def test_a_token_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, synced = tmp_path / "page-token", list[tuple[bool, int]]()
    sync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), file.stat().st_size))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    token_of(file)
    assert synced == [(False, 0), (True, 32)]


def test_a_disk_that_fails_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "page-token"

    def full(_: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(InvalidSettings, match="no space left; name another with token_file"):
            token_of(file)
    assert [path.name for path in tmp_path.iterdir()] == ["page-token"]
    assert file.read_text() == ""
    assert len(token_of(file)) == 32


def test_processes_that_start_together_agree_on_one_token(tmp_path: Path) -> None:
    file, found, together = tmp_path / "page-token", list[str](), threading.Barrier(8)
    file.touch()

    def start() -> None:
        together.wait()
        found.append(token_of(file))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [file.read_text()] * 8


def status_for(client: str, headers: dict[bytes, bytes]) -> int:
    """What a visitor from this address is answered."""
    gate = TokenGate(PlainTextResponse("seen"), Access(TOKEN))

    async def asked() -> int:
        transport = httpx.ASGITransport(gate, client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://pi.local:8080") as visitor:
            return (await visitor.get("/", headers=headers)).status_code

    return asyncio.run(asked())


@pytest.mark.parametrize(
    "other", ["", "plain=1; ", 'prefs={"theme":"dark"}; ', "a=b c; ", "flag; ", "path=1; ", "name=Jürgen; ", "a[b]=1; "]
)
def test_cookies_of_another_program_on_this_host_do_not_hide_the_token(other: str) -> None:
    assert status_for(ELSEWHERE, {b"Cookie": f"{other}{Access(TOKEN).cookie}={TOKEN}".encode()}) == 200
    assert status_for(ELSEWHERE, {b"Cookie": f"{other}{Access(TOKEN).cookie}=wrong".encode()}) == 401


def test_two_services_of_one_host_keep_their_visitors() -> None:
    jar = httpx.Cookies()

    async def visit(token: str, path: str) -> int:
        transport = httpx.ASGITransport(TokenGate(PlainTextResponse("seen"), Access(token)), client=(ELSEWHERE, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://pi.local", cookies=jar) as visitor:
            answer = await visitor.get(path)
            jar.update(visitor.cookies)
            return answer.status_code

    other = "another-token-of-24-letters"
    assert [asyncio.run(visit(token, f"/?token={token}")) for token in (TOKEN, other)] == [303, 303]
    assert [asyncio.run(visit(token, "/")) for token in (TOKEN, other)] == [200, 200]


@pytest.mark.parametrize(
    ("client", "host", "status"),
    [
        ("127.0.0.1", b"127.0.0.1:8080", 200),
        ("::1", b"[::1]:8080", 200),
        ("::ffff:127.0.0.1", b"127.0.0.1:8080", 200),
        ("::ffff:127.0.0.1", b"rebound.example:8080", 401),
        ("::ffff:192.0.2.1", b"127.0.0.1:8080", 401),
        ("127.0.0.1", b"", 401),
    ],
)
def test_this_machine_itself_needs_no_token(client: str, host: bytes, status: int) -> None:
    assert status_for(client, {b"Host": host}) == status
