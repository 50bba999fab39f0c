"""What anybody may ask says how the service is, and nothing of where its pictures come from."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from anyio import to_thread
from fastapi import FastAPI

from plumbline_edge.web.access import Access
from plumbline_edge.web.app import create_app


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    ("failure", "told"),
    [(None, "no frame for 12 s"), (OSError(5, "Input/output error", "/home/somebody/secret"), "stopped by a failure")],
)
def test_probes_name_neither_source_nor_failure(path: str, failure: OSError | None, told: str) -> None:
    pipeline = SimpleNamespace(failure=failure, frame_age_seconds=12.3, source_name="http://camera/secret", ready=True)
    answer = asyncio.run(asked(app_of(pipeline), path))
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, told)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer_while_every_thread_waits(path: str) -> None:
    app = app_of(SimpleNamespace(failure=None, frame_age_seconds=0.1, ready=True))

    async def asked_meanwhile() -> httpx.Response:
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens = 1
        threads.acquire_on_behalf_of_nowait("somebody who waits")
        return await asyncio.wait_for(asked(app, path), 5)

    assert asyncio.run(asked_meanwhile()).status_code == 200


def app_of(pipeline: SimpleNamespace) -> FastAPI:
    parts: Any = SimpleNamespace(pipeline=pipeline, view=None, metrics=None, running=None, controls=None, diary=None)
    return create_app(parts, Access("a-token-of-some-length"), stale_after_seconds=10.0)


async def asked(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://pi.local:8080") as visitor:
        return await visitor.get(path)
