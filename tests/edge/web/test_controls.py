"""What the page's buttons ask for, of a running service."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from tests.edge.dots import squats, standing, write_pictures
from tests.edge.services import CHANGE, Service, live_messages, service

from plumbline_edge.coach.exercises import exercises_folder
from plumbline_edge.web.problems import HTTP_CODES, STATUS

README = Path(__file__).parents[3] / "edge" / "README.md"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Service]:
    """One service on a repeated workout; each test leaves it without a set under way."""
    folder = write_pictures(tmp_path_factory.mktemp("live") / "frames", squats(1, rate=30.0))
    with service("--source", folder, "--loop", "--state", state) as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200, PATIENCE)
        yield running


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_exercise_is_chosen_while_frames_flow(running: Service) -> None:
    names = [entry["name"] for entry in running.get("/api/exercises").json()]
    assert {"squat", "push_up", "sitting"} <= set(names)
    chosen = running.change("PUT", "/api/exercise", {"name": "jumping_jack"})
    assert (chosen.status_code, chosen.json()["exercise"], chosen.json()["reps"]) == (200, "jumping_jack", 0)
    before = running.state()["frames"]
    running.wait_until(lambda: running.state()["frames"] > before + 5, PATIENCE)
    assert running.state()["title"] == "Jumping jack"
    assert code(running.change("PUT", "/api/exercise", {"name": "/etc/passwd"})) == (404, "unknown_exercise")
    assert code(running.change("PUT", "/api/exercise", {"named": "squat"})) == (422, "invalid")
    assert running.change("PUT", "/api/exercise", {"name": "squat"}).json()["exercise"] == "squat"


def test_a_set_is_begun_kept_reported_exported_and_deleted(running: Service) -> None:
    set_id = running.change("POST", "/api/set/start").json()["id"]
    assert code(running.change("POST", "/api/set/start")) == (409, "set_under_way")
    assert code(running.change("PUT", "/api/exercise", {"name": "lunge"})) == (409, "set_under_way")
    assert code(running.change("DELETE", f"/api/sets/{set_id}")) == (409, "set_under_way")
    running.wait_until(lambda: running.state()["reps"] >= 2, PATIENCE)
    assert running.state()["set"]["id"] == set_id
    assert running.change("POST", "/api/set/stop").json() == {"id": set_id}
    assert code(running.change("POST", "/api/set/stop")) == (409, "no_set_under_way")
    assert running.state()["set"] is None
    assert running.state()["rested_seconds"] >= 0
    kept = running.get(f"/api/sets/{set_id}").json()
    assert (kept["exercise"], kept["finished"], kept["reps"] >= 2) == ("squat", True, True)
    assert running.get("/api/sets?exercise=squat").json()[0]["id"] == set_id
    assert running.get("/api/sets?exercise=lunge").json() == []
    report = httpx.get(f"{running.url}/api/sets/{set_id}/report", timeout=PATIENCE)
    assert report.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "<script" not in report.text
    assert f"set {set_id}, " in report.text
    assert running.get(f"/api/sets/{set_id}/report.json").json()["reps"] == kept["reps"]
    frames = csv.DictReader(io.StringIO(running.get(f"/api/sets/{set_id}/frames.csv").text))
    assert len(list(frames)) > 30
    (line,) = csv.DictReader(io.StringIO(running.get("/api/sets.csv").text))
    assert line["reps"] == str(kept["reps"])
    (entry,) = running.get("/api/sets.json").json()["sets"]
    assert sum(attempt["counted"] for attempt in entry["attempts"]) == kept["reps"]
    assert running.change("DELETE", f"/api/sets/{set_id}").status_code == 204
    assert code(running.get(f"/api/sets/{set_id}/report")) == (404, "unknown_set")
    assert running.change("DELETE", "/api/sets").status_code == 204
    assert running.get("/api/sets").json() == []
    assert running.change("POST", "/api/set/start").json() == {"id": set_id + 1}
    running.change("POST", "/api/set/stop")


def test_a_set_of_ones_own_exercise_is_reported_while_another_is_chosen(tmp_path: Path) -> None:
    own = tmp_path / "own_squat.yaml"
    own.write_text((exercises_folder() / "squat.yaml").read_text().replace("name: squat\n", "name: own_squat\n", 1))
    folder = write_pictures(tmp_path / "frames", squats(1, rate=30.0))
    with service("--source", folder, "--loop", "--state", tmp_path / "state", "--exercise", own) as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200, PATIENCE)
        set_id = running.change("POST", "/api/set/start").json()["id"]
        running.wait_until(lambda: running.state()["reps"] >= 1, PATIENCE)
        running.change("POST", "/api/set/stop")
        running.change("PUT", "/api/exercise", {"name": "lunge"})
        told = httpx.get(f"{running.url}/api/sets/{set_id}/report.json", timeout=PATIENCE)
        assert (told.status_code, told.json()["exercise"]) == (200, "own_squat")
        assert len(running.get(f"/api/sets/{set_id}/frames.csv").text.splitlines()) > 10


def test_sitting_is_added_up_by_the_minute(running: Service) -> None:
    running.change("PUT", "/api/exercise", {"name": "sitting"})
    running.wait_until(lambda: running.get("/api/sitting").json()["minutes"] != [], PATIENCE)
    day = running.get("/api/sitting").json()
    assert sum(minute["sitting_seconds"] + minute["away_seconds"] for minute in day["minutes"]) > 0
    assert running.get("/api/sitting?day=2020-01-01").json()["minutes"] == []
    assert code(running.get("/api/sitting?day=soon")) == (422, "invalid")
    running.change("PUT", "/api/exercise", {"name": "squat"})
    assert running.change("DELETE", "/api/sets").status_code == 204


@pytest.mark.parametrize(
    "path",
    [
        "/api/sets?limit=-1",
        f"/api/sets?limit={10**30}",
        "/api/sets/0",
        f"/api/sets/{2**63}",
        f"/api/sets/{10**20}/report",
        f"/api/sets/{10**20}/report.json",
        f"/api/sets/{10**20}/frames.csv",
        "/api/sitting?day=0001-01-01",
        "/api/sitting?day=1969-12-31",
        "/api/sitting?day=9999-12-31",
    ],
)
def test_numbers_and_days_out_of_range_are_invalid(running: Service, path: str) -> None:
    assert code(running.get(path)) == (422, "invalid")


def test_numbers_and_days_at_the_ends_of_their_range_are_valid(running: Service) -> None:
    assert running.get("/api/sets?limit=0").json() == []
    assert running.get("/api/sets?limit=1000000").status_code == 200
    assert code(running.get(f"/api/sets/{2**63 - 1}")) == (404, "unknown_set")
    assert code(running.change("DELETE", f"/api/sets/{2**63}")) == (422, "invalid")
    for day in ("1970-01-01", "9998-12-31"):
        assert running.get(f"/api/sitting?day={day}").json()["minutes"] == []


def test_calibrating_and_silence(running: Service) -> None:
    running.wait_until(lambda: running.state()["phase"] == "standing", PATIENCE)
    assert running.change("POST", "/api/calibrate").status_code == 200
    assert running.change("POST", "/api/snooze", {"seconds": 600}).json()["quiet_seconds"] == pytest.approx(600, abs=20)
    assert code(running.change("POST", "/api/snooze", {"seconds": -1})) == (422, "invalid")
    assert running.change("PUT", "/api/exercise", {"name": "lunge"}).json()["quiet_seconds"] > 500
    assert running.change("PUT", "/api/exercise", {"name": "squat"}).json()["quiet_seconds"] > 500
    assert running.change("POST", "/api/snooze", {"seconds": 0}).json()["quiet_seconds"] == 0


def test_a_change_needs_its_header_and_none_is_made_without(running: Service) -> None:
    refused = httpx.put(f"{running.url}/api/exercise", json={"name": "lunge"})
    assert code(refused) == (403, "cross_site")
    other = httpx.put(
        f"{running.url}/api/privacy", json={"hide_pixels": True}, headers={**CHANGE, "Origin": "http://x"}
    )
    assert code(other) == (403, "cross_site")
    assert (running.state()["exercise"], running.state()["pixels_hidden"]) == ("squat", False)


def test_every_request_is_described_and_in_the_readme(running: Service) -> None:
    schema = running.get("/openapi.json").json()
    assert set(schema["components"]["securitySchemes"]) == {"token", "cookie"}
    table = README.read_text("utf-8").partition("## HTTP")[2].partition("The page listens on")[0]
    listed = set(re.findall(r"^\| `(?:[A-Z]+ )?(\S+)`", table, re.MULTILINE))
    assert listed == {"/", *schema["paths"]}
    for path, methods in schema["paths"].items():
        for method, described in methods.items():
            assert described.get("description"), f"{method} {path} says nothing of itself"
            if method != "get":
                assert {"403", "429"} <= set(described["responses"]), f"{method} {path}"
    codes = {code for _, code in STATUS.values()} | set(HTTP_CODES.values())
    assert {code for code in codes if f"`{code}`" not in table} == set()


def saturated(jpeg: bytes) -> int:
    """Pixels of a clear colour, which the camera's dots have and the skeleton of somebody without a fault has not."""
    image: npt.NDArray[np.int16] = np.asarray(
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.int16
    )
    return int((image.max(axis=2) - image.min(axis=2) > 120).sum())


def test_pixels_are_hidden_at_the_source_and_stay_so_after_a_restart(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 30)
    arguments = ("--source", folder, "--loop", "--state", tmp_path / "state")
    with service(*arguments) as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200, PATIENCE)
        shown = [message for message in islice(live_messages(running.url), 10) if message.jpeg]
        assert min(saturated(message.jpeg) for message in shown) > 500
        assert all(message.content["shows_pixels"] for message in shown)
        assert running.change("PUT", "/api/privacy", {"hide_pixels": True}).json()["pixels_hidden"] is True
        hidden = [message for message in islice(live_messages(running.url), 10) if message.jpeg]
        assert hidden
        assert max(saturated(message.jpeg) for message in hidden) == 0
        assert not any(message.content["shows_pixels"] for message in hidden)
        # Where the network is slower than the camera, an older pose is carried on, and the message says whose it is.
        assert all(0 <= message.content["frame"] - message.content["pose_frame"] <= 30 for message in hidden)
        running.terminate()
    with service(*arguments) as running:
        running.wait_until(lambda: running.state()["person_visible"], PATIENCE)
        assert max(saturated(message.jpeg) for message in islice(live_messages(running.url), 10) if message.jpeg) == 0
        assert running.change("PUT", "/api/privacy", {"hide_pixels": False}).json()["pixels_hidden"] is False


def test_pixels_that_are_always_hidden_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "frames", [standing(240, 30, 300)] * 30)
    monkeypatch.setenv("PLUMBLINE_EDGE_HIDE_PIXELS", "true")
    with service("--source", folder, "--loop", "--state", tmp_path / "state") as running:
        running.wait_until(lambda: running.get("/readyz").status_code == 200, PATIENCE)
        refused = running.change("PUT", "/api/privacy", {"hide_pixels": False})
        assert code(refused) == (409, "pixels_stay_hidden")
        assert running.state()["pixels_always_hidden"] is True
        assert max(saturated(message.jpeg) for message in islice(live_messages(running.url), 10) if message.jpeg) == 0
