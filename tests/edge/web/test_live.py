"""A viewer's place is free again when it goes, and when it takes nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from starlette.types import Message, Scope

from plumbline_edge.web import live
from plumbline_edge.web.live import ViewerResponse


async def pictures(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"picture"


@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize("stops_reading", [True, False])
def test_who_takes_nothing_for_a_while_is_dropped(
    monkeypatch: pytest.MonkeyPatch, version: str, stops_reading: bool
) -> None:
    monkeypatch.setattr(live, "SEND_SECONDS", 0.1)
    places, sent = list[str](), list[Message]()

    @contextmanager
    def place() -> Iterator[None]:
        places.append("taken")
        yield
        places.append("free")

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody hangs up")

    async def send(message: Message) -> None:
        if stops_reading and len(sent) == 3:
            await asyncio.Event().wait()
        sent.append(message)

    async def served() -> None:
        scope: Scope = {"type": "http", "asgi": {"spec_version": version}}
        answer = ViewerResponse(place(), pictures(10), "multipart/x-mixed-replace", {})
        await asyncio.wait_for(answer(scope, receive, send), 10)

    asyncio.run(served())
    assert places == ["taken", "free"]
    assert len(sent) == (3 if stops_reading else 12)
