"""A day of sitting: today's, until somebody chooses another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect
from tests.edge.services import Service
from tests.page.conftest import MINUTES_PASS, TELEVISION, Visit

pytestmark = pytest.mark.page
TOTALS = {"sitting_seconds": 0, "fault_seconds": 0, "longest_minutes": 0, "breaks": 0}


def test_today_goes_on_and_a_chosen_day_stays(running: Service, visit: Callable[..., Visit]) -> None:
    visiting = visit(TELEVISION)
    page, today = visiting.page, "2026-03-01"

    def answer(route: Route) -> None:
        (day,) = parse_qs(urlsplit(route.request.url).query).get("day", [today])
        route.fulfill(json={"day": day, "hours": [], "minutes": [], "faults": {}, **TOTALS})

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


def test_a_day_has_the_hours_of_its_clock(running: Service, visit: Callable[..., Visit]) -> None:
    """From 1:50, when the clock goes back by an hour at 3:00, and by half an hour at 2:00."""
    page, hours = visit(TELEVISION).page, [(60, "01:00"), (120, "02:00"), (180, "02:00"), (240, "03:00")]

    def answer(route: Route) -> None:
        told = [{"minute": minute, "begins": begins} for minute, begins in hours]
        minutes: list[dict[str, Any]] = [
            {"minute": minute, "sitting_seconds": 60, "fault_seconds": 0, "away_seconds": 0, "faults": {}}
            for minute in (110, 130, 185)
        ]
        route.fulfill(json={"day": "2026-10-25", "hours": told, "minutes": minutes, "faults": {}, **TOTALS})

    def shown() -> tuple[list[str], list[int]]:
        """The rows, and at which minute of them somebody sat."""
        labels = page.locator("#day-chart figure > svg text").all_text_contents()
        boxes = page.locator("#day-chart figure > svg rect.clean").all()
        return labels, [round((float(box.get_attribute("x") or 0) - 48) / 15) for box in boxes]

    page.route("**/api/sitting*", answer)
    page.goto(f"{running.url}/#sitting")
    expect(page.locator("#day-chart svg").first).to_be_visible()
    assert shown() == (["1:00", "2:00", "2:00"], [50, 10, 5])

    hours = [(60, "01:00"), (120, "01:30"), (150, "02:00"), (210, "03:00")]
    page.reload()
    expect(page.locator("#day-chart svg").first).to_be_visible()
    assert shown() == (["1:00", "1:00", "2:00"], [50, 40, 35])


def test_a_date_that_is_being_typed_is_left_alone_while_the_day_grows(
    running: Service, visit: Callable[..., Visit]
) -> None:
    page, breaks = visit(TELEVISION).page, 0

    def answer(route: Route) -> None:
        minutes = [{"minute": 5, "sitting_seconds": 60, "fault_seconds": 0, "away_seconds": 0, "faults": {}}]
        hours = [{"minute": 0, "begins": "00:00"}]
        numbers = {**TOTALS, "breaks": breaks}
        route.fulfill(json={"day": "2026-03-01", "hours": hours, "minutes": minutes, "faults": {}, **numbers})

    page.route("**/api/sitting*", answer)
    page.add_init_script(MINUTES_PASS)
    page.goto(f"{running.url}/#sitting")
    shown = page.locator("#sitting-numbers dd").last
    expect(shown).to_have_text("0")
    page.locator("#day").focus()
    page.keyboard.press("Backspace")
    breaks = 3
    expect(shown).to_have_text("3")
    assert page.locator("#day").input_value() == ""
