"""A real Chromium, headless, and a service for it to show. `make test-page` runs these; nothing here is skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.edge.dots import squats, write_pictures
from tests.edge.services import Service, service

PATIENCE_MS = 60_000
PHONE, TELEVISION = (390, 844), (1920, 1080)
# Playwright shows every tab as the one in front: the page is told what a browser tells one that is not.
HIDE = """() => {
  Object.defineProperty(document, 'hidden', { configurable: true, value: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
SHOW = """() => {
  delete document.hidden;
  document.dispatchEvent(new Event('visibilitychange'));
}"""
# In three tenths of a second each.
MINUTES_PASS = """(() => {
  const really = setInterval;
  window.setInterval = (work, after) => really(work, after === 60000 ? 300 : after);
})()"""


def wait_for(page: Page, expression: str) -> None:
    """Until this is true in the page, whose policy lets nothing be evaluated from within it."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


@dataclass
class Visit:
    """A page in the browser, with all that it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        wait_for(self.page, "document.querySelector('#picture').dataset.frame !== undefined")
        return self.page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; no browser of Playwright's own is downloaded."""
    program = shutil.which("chromium")
    assert program is not None, "no chromium is here: apt install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # No sandbox: CI is root in a container, and the page is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def workout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of standing and a squat that is too shallow, 3.5 s at 30 pictures a second."""
    return write_pictures(tmp_path_factory.mktemp("page") / "frames", squats(1, depth=0.45, rate=30.0))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, workout: Path) -> Iterator[Service]:
    """One service for the tests of a module."""
    with service("--source", workout, "--loop", "--state", tmp_path_factory.mktemp("state")) as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200, PATIENCE_MS / 1000)
        yield running


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[[tuple[int, int]], Visit]]:
    """Opens pages of a size; at the end none may have asked anybody else for anything, or complained."""
    with ExitStack() as stack:
        visits: list[Visit] = []

        def new(size: tuple[int, int] = TELEVISION, language: str = "en") -> Visit:
            context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, locale=language)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            made = Visit(page)
            page.on("request", lambda request: made.requests.append(request.url))
            page.on("pageerror", lambda error: made.complaints.append(str(error)))
            page.on(
                "console", lambda message: made.complaints.append(message.text) if message.type == "error" else None
            )
            visits.append(made)
            return made

        yield new
        for made in visits:
            assert made.requests
            strangers = [url for url in made.requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))]
            assert strangers == []
            # A service that is down or refuses is complained of by the browser itself.
            own = ("ERR_", "status of 4", "status of 503")
            assert [words for words in made.complaints if not any(part in words for part in own)] == []
