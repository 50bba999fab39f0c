"""The pages for people: they show what is there, escape what others wrote, and load nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Server

MakeBundle = Callable[..., "Bundle"]
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def filled(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> httpx.Client:
    """Eight versions, 1.7.0 in stable and 1.6.0 before it, a device on each and one that failed."""
    bundles = [make_bundle(f"1.{minor}.0", ap=0.5 + minor / 1000) for minor in range(8)]
    for bundle in bundles:
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
    operator = server.operator()
    operator.promote("stable", bundles[6], "first")
    operator.promote("stable", bundles[7], f"better {EVIL}")
    for device, version, outcome in (("pi-01", "1.7.0", "ok"), ("pi-02", "1.6.0", "golden_mismatch")):
        report = {"name": "test-net", "channel": "stable", "version": version, "outcome": outcome, "message": EVIL}
        if outcome == "ok":
            report |= {"judge_name": "form-judge", "judge_version": "0.4.0"}
        client.put(f"/v1/devices/{device}", json=report).raise_for_status()
    return client


def text_of(response: httpx.Response) -> str:
    """What a reader sees, after the checks that hold for every page."""
    response.raise_for_status()
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert EVIL not in response.text
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", response.text)
    return " ".join(re.sub(r"<[^>]+>", " ", response.text).split())


def test_bundles_with_what_their_channels_give(filled: httpx.Client) -> None:
    text = text_of(filled.get("/"))
    assert "test-net 8 1.7.0 – – 1.7.0" in text


def test_versions_beside_each_other(filled: httpx.Client) -> None:
    text = text_of(filled.get("/bundles/test-net"))
    assert "1.7.0 stable 1.6.0 1.5.0 1.4.0 1.3.0 1.2.0" in text
    assert "AP on made 0.5070 0.5060 0.5050 0.5040 0.5030 0.5020" in text
    assert "Devices that run it 1 1 0 0 0 0" in text
    assert text.count("Was never set.") == 2
    history = text.split("Channel stable")[1]
    assert history.index("better &lt;script&gt;") < history.index("first ap: 0.5060 on made, the first here")
    assert filled.get("/bundles/test-net").text.count('number best">0.5070') == 1


def test_older_versions_are_on_the_next_page(filled: httpx.Client) -> None:
    (link,) = re.findall(r'href="(/bundles/test-net\?after=[^"]+)"', filled.get("/bundles/test-net").text)
    assert "1.1.0 1.0.0" in text_of(filled.get(link))


def test_devices_with_what_they_run(filled: httpx.Client) -> None:
    text = text_of(filled.get("/devices"))
    assert "pi-01 test-net stable 1.7.0 form-judge 0.4.0 ok" in text
    assert "pi-02 test-net stable 1.6.0 – golden_mismatch" in text


def test_empty_registry_says_what_to_do(client: httpx.Client) -> None:
    assert "plumbline-registry publish DIR" in text_of(client.get("/"))
    assert "None has reported yet" in text_of(client.get("/devices"))
    assert client.get("/bundles/no-net").json()["error"]["code"] == "unknown_bundle"
    assert client.get("/static/registry.css").headers["content-type"].startswith("text/css")
