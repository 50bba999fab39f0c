"""The sets that were kept: history, reports, exports and their end."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Final

from fastapi import FastAPI, Path, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import Field

from plumbline_edge.diary.replay import frames_of, report_of, sets_csv
from plumbline_edge.diary.sitting import hours_of, minutes_of
from plumbline_edge.web.diary_answers import AttemptEntry, SetSummary, SittingDay, SittingMinuteEntry, sitting_day
from plumbline_edge.web.parts import Parts
from plumbline_edge.web.problems import answers, changes
from plumbline_edge.web.static import NO_STORE, PROTECTION, REPORT_POLICY

ALL = 1_000_000
DAY_MINUTES = 24 * 60
FIRST_DAY: Final = date(1970, 1, 1)
LAST_DAY: Final = date(9998, 12, 31)
"""A day whose midnight, and the one after, are moments in every time zone."""
SetId = Annotated[int, Path(ge=1, le=2**63 - 1)]
"""A number that SQLite can hold."""


def add_diary(app: FastAPI, parts: Parts) -> None:
    """Serve what is kept."""
    diary = parts.diary

    @app.get("/api/sets", responses=answers(422, 503), tags=["diary"])
    def sets(exercise: str | None = None, limit: Annotated[int, Query(ge=0, le=ALL)] = 200) -> list[SetSummary]:
        """The latest sets, the newest first."""
        return [SetSummary.of(entry) for entry in diary.sets(exercise, limit)]

    @app.get("/api/sets.csv", response_class=Response, responses=answers(503), tags=["diary"])
    def export_csv() -> Response:
        """All sets, a line each."""
        return _download(sets_csv(diary.sets(limit=ALL)), "text/csv", "plumbline-sets.csv")

    @app.get("/api/sets.json", response_class=JSONResponse, responses=answers(503), tags=["diary"])
    def export_json() -> Response:
        """All sets with their attempts, and all minutes of sitting."""
        kept = [
            {
                **SetSummary.of(entry).model_dump(mode="json"),
                "attempts": [AttemptEntry.of(attempt).model_dump() for attempt in diary.attempts(entry.id)],
            }
            for entry in diary.sets(limit=ALL)
        ]
        sitting = [SittingMinuteEntry.of(minute).model_dump() for minute in diary.sitting(0, ALL * DAY_MINUTES)]
        text = json.dumps({"schema_version": 1, "sets": kept, "sitting": sitting}, indent=1)
        return _download(text, "application/json", "plumbline-sets.json")

    @app.get("/api/sets/{set_id}", responses=answers(404, 422, 503), tags=["diary"])
    def one_set(set_id: SetId) -> SetSummary:
        """One set."""
        return SetSummary.of(diary.set(set_id))

    @app.get(
        "/api/sets/{set_id}/report",
        response_class=HTMLResponse,
        responses=answers(404, 410, 413, 422, 503),
        tags=["diary"],
    )
    def report(set_id: SetId) -> Response:
        """The report on a set, with skeletons where a recording's has pictures."""
        page, _ = report_of(diary, diary.set(set_id), parts.controls.configured)
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY, **NO_STORE, **PROTECTION})

    @app.get(
        "/api/sets/{set_id}/report.json",
        response_class=JSONResponse,
        responses=answers(404, 410, 413, 422, 503),
        tags=["diary"],
    )
    def report_json(set_id: SetId) -> Response:
        """The same as data: attempts, progress and angles over time."""
        _, data = report_of(diary, diary.set(set_id), parts.controls.configured)
        return _download(data, "application/json", f"plumbline-set-{set_id}.json")

    @app.get(
        "/api/sets/{set_id}/frames.csv",
        response_class=Response,
        responses=answers(404, 410, 413, 422, 503),
        tags=["diary"],
    )
    def frames(set_id: SetId) -> Response:
        """Each frame's progress, angles and keypoints."""
        text = frames_of(diary, diary.set(set_id), parts.controls.configured)
        return _download(text, "text/csv", f"plumbline-set-{set_id}.csv")

    @app.delete("/api/sets/{set_id}", status_code=204, responses=changes(404, 409, 422, 503), tags=["diary"])
    def delete_set(set_id: SetId) -> None:
        """Delete a set and all that belongs to it."""
        parts.controls.recorder.require_ended(set_id)
        diary.delete(set_id)

    @app.delete("/api/sets", status_code=204, responses=changes(503), tags=["diary"])
    def delete_all() -> None:
        """Delete everything that is kept, the set under way and sitting too."""
        parts.controls.recorder.drop()

    @app.get("/api/sitting", responses=answers(422, 503), tags=["diary"])
    def sitting(day: Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)] | None = None) -> SittingDay:
        """A day of sitting by the minute, in the device's time zone; today unless another is named."""
        chosen = day or datetime.now().astimezone().date()
        return sitting_day(chosen, hours_of(chosen), diary.sitting(*minutes_of(chosen)))


def _download(text: str, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **NO_STORE, **PROTECTION}
    return Response(text, media_type=media_type, headers=headers)
