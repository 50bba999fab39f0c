"""For keyboards and screen readers: axe-core's rules, and the way through by Tab alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.edge.services import Service
from tests.page.axe import axe_source
from tests.page.conftest import PHONE, TELEVISION, Visit

pytestmark = pytest.mark.page

Open = Callable[..., Visit]


@pytest.mark.parametrize("size", [PHONE, TELEVISION])
def test_axe_finds_nothing_serious(running: Service, visit: Open, size: tuple[int, int]) -> None:
    running.change("POST", "/api/set/start")
    page = visit(size).open(running.url)
    expect(page.locator("#faults")).to_contain_text("too shallow")
    running.change("POST", "/api/set/stop")
    page.evaluate(axe_source())
    for view in ("live", "history", "sitting", "options"):
        if view == "options":
            page.locator("#open-options").click()
        else:
            page.locator(f"[data-view={view}]").click()
            expect(page.locator(f"#{view}")).to_be_visible()
        found = page.evaluate("axe.run().then((found) => found.violations)")
        told = [(rule["id"], rule["impact"], [node["target"] for node in rule["nodes"]]) for rule in found]
        print(view, size, told)
        assert [rule for rule in told if rule[1] in ("serious", "critical")] == [], view


def test_every_control_is_reached_by_tab_and_shows_it(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        focus = page.evaluate("""() => {
          const at = document.activeElement;
          return [at.id || at.dataset.view, getComputedStyle(at).outlineStyle];
        }""")
        reached.append(focus)
    names = [name for name, _ in reached]
    assert [*names[:4]] == ["live", "history", "sitting", "open-options"]
    assert names[4:10] == ["set", "exercise", "calibrate", "privacy", "snooze", "voice"]
    assert all(style == "solid" for _, style in reached[:10])


def test_keys_do_nothing_while_somebody_chooses_from_a_list(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    page.locator("#exercise").focus()
    page.keyboard.press("v")
    time.sleep(0.5)
    expect(page.locator("#voice")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("?")
    expect(page.locator("#options")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#options")).to_be_hidden()
    page.keyboard.press("3")
    expect(page.locator("#sitting")).to_be_visible()


def test_a_key_does_nothing_where_its_button_is_not_shown(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    page.keyboard.press("2")
    expect(page.locator("#history")).to_be_visible()
    page.evaluate("addEventListener('keydown', (event) => { window.taken = event.defaultPrevented; })")
    for key in ("p", "v", "Space"):
        page.keyboard.press(key)
    # The browser itself moves the list on.
    assert page.evaluate("window.taken") is False
    time.sleep(1)
    state = running.state()
    assert (state["set"], state["pixels_hidden"]) == (None, False)
    page.keyboard.press("1")
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#voice")).to_have_attribute("aria-pressed", "false")


def test_single_keys_can_be_turned_off(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    voice, switch = page.locator("#voice"), page.get_by_role("button", name="Use single keys")
    expect(voice).to_have_attribute("aria-keyshortcuts", "V")
    page.keyboard.press("?")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#set")).to_have_text("Start set")
    for key in ("v", "3", "?"):
        page.keyboard.press(key)
    expect(voice).to_have_attribute("aria-pressed", "false")
    assert voice.get_attribute("aria-keyshortcuts") is None
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#options")).to_be_hidden()
    page.locator("#open-options").click()
    switch.click()
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    expect(voice).to_have_attribute("aria-pressed", "true")


def test_the_first_key_after_a_dialog_has_closed_counts(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    page.evaluate("""() => {
      document.querySelector("#options").showModal();
      document.querySelector("#language").focus();
      document.querySelector("#options").close();
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "3", bubbles: true }));
    }""")
    expect(page.locator("#sitting")).to_be_visible()
