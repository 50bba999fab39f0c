"""A day of sitting: today's, until somebody chooses another."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect
from tests.edge.services import Service
from tests.page.conftest import TELEVISION, Visit

pytestmark = pytest.mark.page


def test_today_goes_on_and_a_chosen_day_stays(running: Service, visit: Callable[..., Visit]) -> None:
    visiting = visit(TELEVISION)
    page, today = visiting.page, "2026-03-01"

    def answer(route: Route) -> None:
        (day,) = parse_qs(urlsplit(route.request.url).query).get("day", [today])
        totals = {"sitting_seconds": 0, "fault_seconds": 0, "longest_minutes": 0, "breaks": 0}
        route.fulfill(json={"day": day, "minutes": [], "faults": {}, **totals})

    page.route("**/api/sitting*", answer)
    visiting.open(running.url)
    shown = page.locator("#day")

    def come_back(query: str = "") -> None:
        page.locator("[data-view=live]").click()
        expect(page.locator("#live")).to_be_visible()
        with page.expect_response(f"**/api/sitting{query}"):
            page.locator("[data-view=sitting]").click()

    come_back()
    expect(shown).to_have_value("2026-03-01")
    today = "2026-03-02"
    come_back()
    expect(shown).to_have_value("2026-03-02")

    with page.expect_response("**/api/sitting?day=2026-02-27"):
        shown.fill("2026-02-27")
    come_back("?day=2026-02-27")
    expect(shown).to_have_value("2026-02-27")

    # Today goes on for whoever chose it, too.
    shown.fill("2026-03-02")
    expect(shown).to_have_value("2026-03-02")
    today = "2026-03-03"
    come_back()
    expect(shown).to_have_value("2026-03-03")
