"""Other sites' pages change nothing here, and nobody asks too often."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import URL
from starlette.requests import HTTPConnection

from plumbline_edge.web.access import Access, TokenGate
from plumbline_edge.web.guard import MOST_CLIENTS, Guard, RateLimit

OWN = {"X-Plumbline": "1"}


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/thing")
    def read() -> str:
        return "read"

    @made.post("/thing")
    def change() -> str:
        return "changed"

    @made.get("/healthz")
    def healthz() -> str:
        return "ok"

    made.add_middleware(Guard)
    return made


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://pi.local:8080")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://pi.local:8080"}, 403),
        (OWN, 200),
        ({**OWN, "Origin": "http://pi.local:8080", "Sec-Fetch-Site": "same-origin"}, 200),
        ({**OWN, "Origin": "http://evil.example"}, 403),
        ({**OWN, "Origin": "null"}, 403),
        ({**OWN, "Origin": "http://["}, 403),
        ({**OWN, "Origin": "http://pi.local:9999"}, 403),
        ({**OWN, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**OWN, "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_change_comes_from_this_very_site(headers: dict[str, str], status: int) -> None:
    async def asked() -> httpx.Response:
        async with client() as asking:
            assert (await asking.get("/thing")).status_code == 200
            return await asking.post("/thing", headers=headers)

    answer = asyncio.run(asked())
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "cross_site"
        assert answer.headers.get("access-control-allow-origin") is None


def test_a_host_header_cannot_pass_for_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older Starlette makes this URL of a header `Host: x/healthz?`."""
    monkeypatch.setattr(HTTPConnection, "url", property(lambda _: URL("http://x/healthz?/thing")))
    gated = app()
    gated.add_middleware(TokenGate, access=Access("a-token-of-some-length"))

    async def asked() -> tuple[int, int]:
        async with client() as open_to_all:
            changed = await open_to_all.post("/thing")
        closed = httpx.ASGITransport(gated, client=("192.0.2.7", 5000))
        async with httpx.AsyncClient(transport=closed, base_url="http://pi.local:8080") as elsewhere:
            return changed.status_code, (await elsewhere.get("/thing")).status_code

    assert asyncio.run(asked()) == (403, 401)


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    async def asked() -> list[httpx.Response]:
        async with client() as asking:
            answers = [await asking.post("/thing", headers=OWN) for _ in range(40)]
            return [*answers, await asking.get("/healthz")]

    *answers, probe = asyncio.run(asked())
    refused = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200
    assert refused
    assert refused[0].json()["error"]["code"] == "too_many_requests"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert probe.status_code == 200


def test_an_allowance_grows_again_and_each_client_has_its_own() -> None:
    limit = RateLimit(per_second=2, burst=3)
    assert [limit.wait_seconds("one", 0.0) for _ in range(3)] == [0, 0, 0]
    assert limit.wait_seconds("one", 0.0) == pytest.approx(0.5)
    assert limit.wait_seconds("other", 0.0) == 0
    assert limit.wait_seconds("one", 0.5) == 0
    assert limit.wait_seconds("one", 100.0) == 0


def test_a_crowd_of_clients_takes_no_more_memory() -> None:
    limit = RateLimit(per_second=1, burst=1)
    for number in range(MOST_CLIENTS + 500):
        limit.wait_seconds(str(number), 0.0)
    assert len(limit._clients) == MOST_CLIENTS
