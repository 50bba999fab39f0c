"""What is kept, as the page asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.edge.diary.sets import Exerciser
from tests.edge.dots import squats

from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.diary.diary import Diary
from plumbline_edge.diary.recorder import SetRecorder
from plumbline_edge.diary.turns import Turns
from plumbline_edge.web.diary_routes import add_diary
from plumbline_edge.web.problems import answer_errors


def diary_with_a_set(tmp_path: Path) -> tuple[Diary, int]:
    diary = Diary(tmp_path / "diary.sqlite3")
    diary.making_report = Turns(wait_seconds=0.05)
    person = Exerciser.of(SetRecorder(diary, 365, 30))
    person.begin()
    person.do(squats(1))
    return diary, person.recorder.end()


def get(diary: Diary, path: str) -> httpx.Response:
    app, parts = FastAPI(), SimpleNamespace(diary=diary, controls=SimpleNamespace(configured=load_exercise("squat")))
    known: Any = parts
    answer_errors(app)
    add_diary(app, known)

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pi.local:8080") as visitor:
            return await visitor.get(path)

    return asyncio.run(asked())


@pytest.mark.parametrize("made", ["report", "report.json", "frames.csv"])
def test_whoever_asks_while_a_report_is_made_is_told_to_ask_again(tmp_path: Path, made: str) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    with diary.making_report:
        refused = get(diary, f"/api/sets/{set_id}/{made}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "report_under_way")
    assert refused.json()["error"]["message"].startswith("a report is being made")
    assert int(refused.headers["retry-after"]) > 0
    assert get(diary, f"/api/sets/{set_id}/{made}").status_code == 200


def test_a_report_that_is_kept_waits_for_no_other(tmp_path: Path) -> None:
    diary, set_id = diary_with_a_set(tmp_path)
    before = get(diary, f"/api/sets/{set_id}/report")
    with diary.making_report:
        assert get(diary, f"/api/sets/{set_id}/report").text == before.text
