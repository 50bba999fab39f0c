"""The kiosk finds a browser, waits for the page, and ends with it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline_edge.cli import main
from plumbline_edge.errors import BrowserMissing, InvalidSettings
from plumbline_edge.kiosk import find_browser, kiosk_command_line, local_url, own_profile, run_kiosk
from plumbline_edge.settings import load_settings


@pytest.fixture
def page() -> Iterator[str]:
    """Something that answers."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def browser(folder: Path, script: str) -> str:
    """A program that is started in a browser's place, and writes down how."""
    path = folder / "chromium"
    path.write_text(f'#!/bin/sh\necho "$@" > {folder}/started\n{script}\n')
    path.chmod(0o755)
    return str(path)


def test_the_page_is_shown_full_screen_and_may_speak(tmp_path: Path, page: str) -> None:
    assert run_kiosk(page, browser(tmp_path, "exit 3"), tmp_path / "profile", threading.Event()) == 3
    started = (tmp_path / "started").read_text()
    assert "--kiosk" in started
    assert f"--app={page}?kiosk" in started
    assert f"--user-data-dir={tmp_path}/profile" in started


def test_a_token_goes_along_and_firefox_has_its_own_flags(tmp_path: Path) -> None:
    url = "http://pi.local:8080/?token=abc"
    assert kiosk_command_line("/usr/bin/chromium", url, tmp_path)[-1] == "--app=http://pi.local:8080/?token=abc&kiosk"
    assert kiosk_command_line("/usr/bin/firefox-esr", url, tmp_path)[1:3] == ["--kiosk", "--profile"]


def test_told_to_stop_it_ends_the_browser(tmp_path: Path, page: str) -> None:
    stop = threading.Event()
    running = threading.Thread(target=run_kiosk, args=(page, browser(tmp_path, "exec sleep 600"), tmp_path, stop))
    running.start()
    while not (tmp_path / "started").exists():
        assert running.is_alive()
    stop.set()
    running.join(30)
    assert not running.is_alive()


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("::1", "http://[::1]:8080/"),
        ("0.0.0.0", "http://127.0.0.1:8080/"),  # noqa: S104  # compared with
        ("::", "http://127.0.0.1:8080/"),
        ("192.0.2.7", "http://192.0.2.7:8080/?token=a-token-of-24-characters"),
        ("2001:db8::7", "http://[2001:db8::7]:8080/?token=a-token-of-24-characters"),
    ],
)
def test_the_page_is_asked_for_where_the_service_listens(tmp_path: Path, host: str, page: str) -> None:
    (tmp_path / "page-token").write_text("a-token-of-24-characters")
    assert local_url(load_settings(host=host, state=tmp_path)) == page


def test_a_token_that_the_service_keeps_elsewhere_is_asked_for_and_none_is_made(tmp_path: Path) -> None:
    settings = load_settings(host="192.0.2.7", state=tmp_path / "state")
    file = tmp_path / "state" / "page-token"
    asked = r"page-token': no token is there; name the service's own token_file or its --state, or give --url"
    with pytest.raises(InvalidSettings, match=asked):
        local_url(settings)
    assert not file.parent.exists()
    file.parent.mkdir()
    file.touch()
    with pytest.raises(InvalidSettings, match=asked):
        local_url(settings)
    assert [path.stat().st_size for path in file.parent.iterdir()] == [0]


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrowserMissing, match=r"none of netscape is here; apt install chromium"):
        find_browser("netscape")
    with pytest.raises(InvalidSettings, match="port is 0"):
        local_url(load_settings(port=0))
    assert main(["kiosk", "--url", "file:///etc/passwd", "--state", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: url is 'file:///etc/passwd'; give the address")


def test_the_profile_is_the_users_own_whatever_the_services_file_says(
    tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    config = tmp_path / "edge.yaml"
    config.write_text("state: /proc/of-the-service\n")
    assert main(["kiosk", "--config", str(config), "--url", page, "--browser", browser(tmp_path, "exit 0")]) == 0
    assert f"--user-data-dir={tmp_path}/own/plumbline-kiosk" in (tmp_path / "started").read_text()
    assert own_profile(tmp_path) == tmp_path / "kiosk"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_profile(None) == tmp_path / ".local" / "state" / "plumbline-kiosk"


def test_a_profile_that_cannot_be_made_and_a_browser_that_does_not_start_are_told(tmp_path: Path, page: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSettings, match="Not a directory; give --state DIR of your own"):
        run_kiosk(page, browser(tmp_path, "exit 0"), tmp_path / "file" / "kiosk", threading.Event())
    broken = Path(browser(tmp_path, "exit 0"))
    broken.write_text("#!/there/is/no/shell\n")
    with pytest.raises(InvalidSettings, match="No such file or directory; name another with --browser"):
        run_kiosk(page, str(broken), tmp_path / "profile", threading.Event())
