"""`plumbline-edge kiosk`: the page full-screen in a browser on this machine's own screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from plumbline_edge.addresses import require_url, scheme_of, without_brackets
from plumbline_edge.errors import BrowserMissing, InvalidSettings
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.web.access import access_of

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "firefox-esr", "firefox")
"""The names that Raspberry Pi OS and Debian give them; the first that is there is taken."""
CHROMIUM_FLAGS: Final = (
    "--kiosk", "--noerrdialogs", "--disable-session-crashed-bubble", "--no-first-run", "--disable-translate",
    # Cues are spoken without anybody having touched the page.
    "--autoplay-policy=no-user-gesture-required", "--enable-speech-dispatcher",
    # No request of the browser's own leaves the device.
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-default-browser-check",
    "--password-store=basic",
)  # fmt: skip
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
POLL_SECONDS: Final = 1.0
TIMEOUT_SECONDS: Final = 3.0
END_SECONDS: Final = 5.0


def local_url(settings: EdgeSettings) -> str:
    """The page of the service on this machine, which asks for a token where it listens on one address of the network.

    Raises InvalidSettings, also where that token is not found: it is the service that makes it.
    """
    if settings.port == 0:
        raise InvalidSettings("port is 0, any free one: name the page with --url, as the service printed it")
    host = without_brackets(settings.host)
    if host in EVERYWHERE:
        return f"http://127.0.0.1:{settings.port}/"
    query = access_of(settings, makes_token=False).query
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/{query}"


def run_kiosk(url: str, browser: str | None, profile: Path, stop: threading.Event) -> int:
    """Wait for the page, then show it until the browser ends or `stop` is set; the exit code.

    Raises BrowserMissing, InvalidSettings.
    """
    require_url("url", url)
    if scheme_of(url) not in ("http", "https"):
        raise InvalidSettings(
            f"url is {url!r}; give the address that the service printed, such as http://127.0.0.1:8080/"
        )
    command = kiosk_command_line(find_browser(browser), url, profile)
    if not _await_page(url, stop):
        return 0
    process = _started(command, profile)
    while process.poll() is None and not stop.wait(POLL_SECONDS / 4):
        pass
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return 0
    return process.returncode


def own_profile(state: Path | None) -> Path:
    """The folder of the browser's profile, of whoever runs it: in `state`, or where programs of a user keep theirs."""
    if state is not None:
        return state / "kiosk"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "plumbline-kiosk"


def _started(command: Sequence[str], profile: Path) -> subprocess.Popen[bytes]:
    try:
        profile.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"profile {str(profile)!r}: {error.strerror}; give --state DIR of your own") from error
    try:
        return subprocess.Popen(command)
    except OSError as error:
        raise InvalidSettings(f"browser {command[0]!r}: {error.strerror}; name another with --browser") from error


def find_browser(wanted: str | None) -> str:
    """The path of the browser to use. Raises BrowserMissing."""
    names = BROWSERS if wanted is None else (wanted,)
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise BrowserMissing(f"none of {', '.join(names)} is here; apt install chromium, or name one with --browser")
    return found


def kiosk_command_line(browser: str, url: str, profile: Path) -> Sequence[str]:
    """The command that shows the page; the page knows by ?kiosk that it may speak at once."""
    parts = urlsplit(url)
    page = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "kiosk")))))
    if "firefox" in Path(browser).name:
        return [browser, "--kiosk", "--profile", str(profile), "--new-instance", page]
    return [browser, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", f"--app={page}"]


def _await_page(url: str, stop: threading.Event) -> bool:
    """Until the page answers, as both may start at boot; False when told to stop before."""
    told = False
    while not stop.is_set():
        try:
            httpx.get(url, timeout=TIMEOUT_SECONDS)
        except httpx.HTTPError:
            if not told:
                print(f"waiting for {url}", flush=True)  # noqa: T201  # said to whoever starts it by hand
            told = True
            stop.wait(POLL_SECONDS)
        else:
            return True
    return False
