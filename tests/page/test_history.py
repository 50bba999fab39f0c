"""The sets that were kept: charts of like sets, and a table that stays what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.edge.services import Service
from tests.page.conftest import HIDE, MINUTES_PASS, SHOW, TELEVISION, Visit, wait_for

pytestmark = pytest.mark.page

REPS, DEPTH, HOLD = "Repetitions a set", "Mean depth", "Longest hold, seconds"


def kept(number: int, exercise: str, **counts: Any) -> dict[str, Any]:
    """A set as the API tells it."""
    depth = 0.8 if counts.get("reps") else None
    numbers = {"reps": 0, "partial_reps": 0, "clean_reps": 0, "best_hold_seconds": 0, "fault_counts": {}, **counts}
    start = f"2026-03-{number:02}T08:00:00Z"
    return {"id": number, "exercise": exercise, "started_at": start, "seconds": 30, "mean_depth": depth,
            "has_report": True, **numbers}  # fmt: skip


def show(page: Page, url: str, sets: list[dict[str, Any]]) -> None:
    page.route("**/api/sets?*", lambda route: route.fulfill(json=sets[::-1]))
    page.goto(f"{url}/#history")
    expect(page.locator("#sets tbody tr")).to_have_count(len(sets))


def charted(page: Page) -> dict[str, str]:
    """The charts by their titles, with what is said of each."""
    captions = page.locator("#charts figcaption").all()
    return {
        caption.locator("b").text_content() or "": caption.locator("span").text_content() or "" for caption in captions
    }


def chart(page: Page, title: str) -> Locator:
    return page.locator("#charts figure", has_text=title)


def test_unlike_sets_share_no_chart_and_no_trend(running: Service, visit: Callable[..., Visit]) -> None:
    page = visit(TELEVISION).page
    squats = [kept(number, "squat", reps=10 + number, clean_reps=10) for number in (1, 2, 3)]
    planks = [kept(number, "plank", best_hold_seconds=10 * number) for number in (4, 5, 6)]
    show(page, running.url, [*squats, *planks, kept(7, "lunge")])
    assert charted(page) == {
        REPS: "several exercises, no trend",
        DEPTH: "several exercises, no trend",
        HOLD: "+20.0 s over 3 sets",
    }
    bars = chart(page, REPS).locator("rect.clean:not(.legend *)")
    expect(bars).to_have_count(4)
    expect(chart(page, REPS).locator(".trend")).to_have_count(0)
    expect(chart(page, DEPTH).locator(".trend")).to_have_count(0)
    expect(chart(page, HOLD).locator(".trend")).to_have_count(1)

    page.locator("#history-exercise").select_option("squat")
    assert charted(page) == {REPS: "+2.0 over 3 sets", DEPTH: "+0 % over 3 sets"}
    expect(chart(page, REPS).locator(".trend")).to_have_count(1)


def test_what_is_held_is_told_by_the_exercise(running: Service, visit: Callable[..., Visit]) -> None:
    """Neither a lunge without a repetition nor a plank that nobody held says so by its counts."""
    page = visit(TELEVISION).page
    sets = [kept(1, "lunge"), kept(2, "plank"), kept(3, "wall_sit", best_hold_seconds=12), kept(4, "hop", reps=4)]
    show(page, running.url, sets)
    rows = page.locator("#sets tbody tr")
    counts = [rows.nth(index).locator("td").nth(2).text_content() for index in range(4)]
    assert counts == ["4", "0:12", "0:00", "0"]
    few = "a trend needs three sets"
    for exercise, charts in {
        "lunge": {REPS: few},
        "plank": {HOLD: few},
        # Exercises that are no longer there.
        "wall_sit": {HOLD: few},
        "hop": {REPS: few, DEPTH: few},
    }.items():
        page.locator("#history-exercise").select_option(exercise)
        assert charted(page) == charts


def test_a_set_that_ends_elsewhere_appears(running: Service, visit: Callable[..., Visit]) -> None:
    page = visit(TELEVISION).open(f"{running.url}/#history")
    expect(page.locator("#history-empty")).to_be_visible()
    running.change("POST", "/api/set/start")
    wait_for(page, "document.querySelector('#set').textContent === 'End set'")
    running.change("POST", "/api/set/stop")
    expect(page.locator("#sets tbody tr")).to_have_count(1, timeout=5000)
    running.change("DELETE", "/api/sets")


def test_the_history_is_filled_again_each_minute_and_keeps_ones_place(
    running: Service, visit: Callable[..., Visit]
) -> None:
    page, sets = visit(TELEVISION).page, [kept(1, "squat", reps=4), kept(2, "squat", reps=5)]
    page.add_init_script(MINUTES_PASS)
    show(page, running.url, sets)
    report = page.get_by_role("link", name="Report").last
    report.focus()
    sets.append(kept(3, "plank", best_hold_seconds=20))
    expect(page.locator("#sets tbody tr")).to_have_count(3)
    expect(page.locator("#history-exercise option")).to_have_text(["All exercises", "Plank", "Squat"])
    assert page.evaluate("document.activeElement.closest('tr').dataset.id") == "1"


def test_nothing_is_filled_again_on_a_page_that_nobody_sees(running: Service, visit: Callable[..., Visit]) -> None:
    visiting = visit(TELEVISION)
    visiting.page.add_init_script(MINUTES_PASS)
    page = visiting.open(f"{running.url}/#sitting")
    with page.expect_response("**/api/sitting"):
        pass
    page.evaluate(HIDE)
    page.wait_for_timeout(1000)
    asked = len(visiting.requests)
    page.wait_for_timeout(1500)
    assert len(visiting.requests) == asked
    with page.expect_response("**/api/sitting"):
        page.evaluate(SHOW)
