"""What a person sees and does while they exercise, in a real browser."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page, Route, expect
from tests.edge.dots import squats
from tests.edge.services import Service, live_messages, service
from tests.page.conftest import HIDE, PATIENCE_MS, PHONE, SHOW, TELEVISION, Visit, wait_for

from plumbline_edge.coach.engine import Coach
from plumbline_edge.coach.exercises import load_exercise
from plumbline_edge.web.live import LENGTHS

pytestmark = pytest.mark.page

Open = Callable[..., Visit]
PIXELS = """() => {
  const { width, height } = document.querySelector('#picture');
  const data = document.querySelector('#picture').getContext('2d').getImageData(0, 0, width, height).data;
  let clear = 0, sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > 120) clear += 1;
    sum = (sum * 31 + red + 256 * green + 65536 * blue) % 4294967296;
  }
  return { clear, sum };
}"""
RATE = 30.0
EARLY = 15
"""Frames by which the coach may find the fault earlier in the estimated keypoints than in the true ones."""


def fault_found_at(keypoints_TK3: list[npt.NDArray[np.float32]]) -> int:
    """The frame of the loop in which the coach finds the fault, given the true keypoints."""
    coach = Coach(load_exercise("squat"))
    for frame in range(2 * len(keypoints_TK3)):
        state = coach.update(frame / RATE, keypoints_TK3[frame % len(keypoints_TK3)])
        if state.attempt_faults:
            return frame % len(keypoints_TK3)
    raise AssertionError("the clip shows no fault")


def shown_frame(page: Page) -> int:
    return int(page.evaluate("document.querySelector('#picture').dataset.frame"))


def test_the_live_picture_moves_with_its_own_pose_on_it(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    first, pictures = shown_frame(page), {page.evaluate(PIXELS)["sum"]}
    wait_for(page, f"Number(document.querySelector('#picture').dataset.frame) > {first + 45}")
    pictures.add(page.evaluate(PIXELS)["sum"])
    assert len(pictures) == 2
    ages = page.evaluate("""() => new Promise((resolve) => {
      const ages = [], canvas = document.querySelector('#picture');
      canvas.addEventListener('drawn', () => {
        ages.push(canvas.dataset.frame - canvas.dataset.poseFrame);
        if (ages.length === 20) resolve(ages);
      });
    })""")
    # On a quiet machine all are 0; where the network is slower the pose is carried on from a frame of a moment ago.
    assert all(0 <= age <= RATE for age in ages)
    assert page.evaluate("[document.querySelector('#picture').width, document.querySelector('#picture').height]") == [
        480,
        360,
    ]


def test_a_cue_appears_within_a_second_of_its_fault(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    # A set begins with a coach that has said nothing yet: the same cue again would have to wait for its time.
    running.change("POST", "/api/set/start")
    wait_for(page, "document.querySelector('#cue').textContent !== 'Go lower'")
    found = page.evaluate("""() => new Promise((resolve) => {
      const cue = document.querySelector('#cue'), canvas = document.querySelector('#picture');
      new MutationObserver((_, watch) => {
        if (cue.textContent !== 'Go lower') return;
        watch.disconnect();
        requestAnimationFrame(() => resolve({
          frame: Number(canvas.dataset.frame), age: Number(canvas.dataset.latencyMs), shown: cue.checkVisibility(),
        }));
      }).observe(cue, { childList: true, characterData: true, subtree: true });
    })""")
    running.change("POST", "/api/set/stop")
    running.change("DELETE", "/api/sets")
    clip = squats(1, depth=0.45, rate=RATE)
    frames_since = (found["frame"] - fault_found_at(clip) + EARLY) % len(clip) - EARLY
    after = frames_since / RATE + found["age"] / 1000
    print(f"cue {after:.2f} s after the fault; its picture was {found['age']:.0f} ms old")
    assert found["shown"]
    assert after < 1.0


def test_cues_are_spoken_once_asked_for(running: Service, visit: Open) -> None:
    visiting = visit(TELEVISION)
    visiting.page.add_init_script(
        "window.said = []; speechSynthesis.speak = (words) => window.said.push([words.text, words.lang]);"
    )
    page = visiting.open(running.url)
    voice = page.get_by_role("button", name="Spoken cues")
    voice.click()
    expect(voice).to_have_attribute("aria-pressed", "true")
    wait_for(page, "window.said.some(([words]) => words === 'Go lower')")
    said = page.evaluate("window.said")
    assert said[0] == ["Cues are on", "en"]
    voice.click()
    expect(voice).to_have_attribute("aria-pressed", "false")


FRAMES_STOP = """() => {
  window.frames_asked = 0;
  window.really = requestAnimationFrame;
  window.requestAnimationFrame = () => { window.frames_asked += 1; };
}"""
FRAMES_GO_ON = "() => { window.requestAnimationFrame = window.really; }"


def test_cues_are_spoken_while_another_tab_is_in_front(running: Service, visit: Open) -> None:
    visiting = visit(TELEVISION)
    visiting.page.add_init_script("window.said = []; speechSynthesis.speak = (words) => window.said.push(words.text);")
    page = visiting.open(running.url)
    page.get_by_role("button", name="Spoken cues").click()
    page.evaluate(FRAMES_STOP)
    # The last picture before it is hidden waits for a frame that does not come.
    wait_for(page, "window.frames_asked > 0")
    page.evaluate(HIDE)
    hidden_at = shown_frame(page)
    page.evaluate("() => { window.said = []; }")
    running.change("POST", "/api/set/start")
    wait_for(page, "window.said.includes('Go lower')")
    running.change("POST", "/api/set/stop")
    running.change("DELETE", "/api/sets")
    assert shown_frame(page) == hidden_at
    page.evaluate(FRAMES_GO_ON)
    page.evaluate(SHOW)
    wait_for(page, f"Number(document.querySelector('#picture').dataset.frame) > {hidden_at}")


def test_the_exercise_is_switched(running: Service, visit: Open) -> None:
    page = visit(PHONE).open(running.url)
    page.get_by_role("combobox", name="Exercise").select_option("plank")
    expect(page.locator("#count-caption")).to_have_text("Held")
    assert running.state()["exercise"] == "plank"
    page.get_by_role("combobox", name="Exercise").select_option("squat")
    expect(page.locator("#count-caption")).to_have_text("Reps")
    assert running.state()["exercise"] == "squat"


def test_the_privacy_switch_hides_the_pixels_that_are_sent(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    sent: list[tuple[bool, int]] = []
    done = threading.Event()

    def listen() -> None:
        for message in live_messages(running.url):
            if done.is_set():
                return
            if message.jpeg:
                decoded = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_COLOR)
                image = np.asarray(decoded, dtype=np.int16)
                magenta = (image[..., 0] > 180) & (image[..., 2] > 180) & (image[..., 1] < 90)
                sent.append((message.content["state"]["pixels_hidden"], int(magenta.sum())))

    listening = threading.Thread(target=listen)
    listening.start()
    running.wait_until(lambda: len(sent) > 20, PATIENCE_MS / 1000)
    switch = page.get_by_role("button", name="Skeleton only")
    switch.click()
    expect(page.locator("#badge")).to_be_visible()
    running.wait_until(lambda: sum(hidden for hidden, _ in sent) > 60, PATIENCE_MS / 1000)
    switch.click()
    expect(page.locator("#badge")).to_be_hidden()
    done.set()
    listening.join(30)
    # One of the camera's dots is magenta; neither the skeleton nor the correct pose has that colour.
    assert max(count for hidden, count in sent if not hidden) > 20
    assert max(count for hidden, count in sent[1:] if hidden) == 0


def test_hiding_the_pixels_takes_away_the_last_picture_too(running: Service, visit: Open) -> None:
    """The camera gives no further one: what stays must be the skeleton alone."""
    page, state = visit(PHONE).page, running.state()
    jpeg = cv2.imencode(".jpg", np.full((36, 64, 3), 200, np.uint8))[1].tobytes()

    def message(hidden: bool, shows_pixels: bool | None = None) -> bytes:
        content: dict[str, object] = {"state": {**state, "pixels_hidden": hidden}, "sent_at_ms": 0}
        if shows_pixels is not None:
            content |= {"frame": 1, "pose_frame": 1, "captured_at_ms": 0, "shows_pixels": shows_pixels}
        picture = b"" if shows_pixels is None else jpeg
        text = json.dumps(content).encode()
        return LENGTHS.pack(len(text), len(picture)) + text + picture

    def shows(level: int) -> str:
        return f"document.querySelector('#picture').getContext('2d').getImageData(32, 18, 1, 1).data[0] === {level}"

    sent = message(hidden=False, shows_pixels=True) + message(hidden=False)
    # Each answer breaks off, and the page asks again a second later.
    page.route("**/api/live", lambda route: route.fulfill(body=sent, content_type="application/x-plumbline-live"))
    page.goto(running.url)
    wait_for(page, shows(200))
    page.wait_for_timeout(1500)
    assert page.evaluate(shows(200))
    sent = message(hidden=True)
    wait_for(page, shows(0))
    sent = message(hidden=True, shows_pixels=False)
    wait_for(page, shows(200))
    sent = message(hidden=True)
    page.wait_for_timeout(2500)
    assert page.evaluate(shows(200))


def test_a_set_its_rest_and_the_history_after_a_reload(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(running.url)
    page.keyboard.press("Space")
    expect(page.locator("#set")).to_have_text("End set")
    expect(page.locator("#exercise")).to_be_disabled()
    expect(page.locator("#timer-caption")).to_have_text("This set")
    expect(page.locator("#faults")).to_contain_text("too shallow")
    page.locator("#set").click()
    expect(page.locator("#set")).to_have_text("Start set")
    expect(page.locator("#timer-caption")).to_have_text("Rest")
    expect(page.locator("#rest")).to_be_visible()
    page.keyboard.press("2")
    rows = page.locator("#sets tbody tr")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("too shallow")
    expect(page.locator("#charts svg").first).to_be_visible()
    with page.context.expect_page() as opened:
        rows.first.get_by_role("link").click()
    expect(opened.value.locator("h2").first).to_have_text("Summary")
    with page.expect_download() as exported:
        page.get_by_role("link", name="CSV").click()
    assert "squat" in Path(exported.value.path()).read_text("utf-8")
    page.get_by_role("button", name="Delete all").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#history-empty")).to_be_visible()
    assert running.get("/api/sets").json() == []


def test_the_page_comes_back_after_the_service_was_started_again(workout: Path, tmp_path: Path, visit: Open) -> None:
    arguments = ("--source", workout, "--loop", "--state", tmp_path)
    with service(*arguments) as first:
        first.wait_until(lambda: first.get("/readyz").status_code == 200, PATIENCE_MS / 1000)
        page = visit(PHONE).open(first.url)
        expect(page.locator("#connection")).to_have_attribute("data-state", "good")
        first.terminate()
    expect(page.locator("#connection")).to_have_text("connection lost")
    before = page.evaluate(PIXELS)["sum"]
    with service(*arguments, "--port", first.url.rpartition(":")[2]) as second:
        expect(page.locator("#connection")).to_have_attribute("data-state", "good", timeout=PATIENCE_MS)
        wait_for(page, f"({PIXELS})().sum !== {before}")
        second.terminate()


@pytest.mark.parametrize("failure", [None, 503])
def test_the_page_starts_as_soon_as_its_texts_can_be_had(running: Service, visit: Open, failure: int | None) -> None:
    page, down = visit(PHONE, "de-DE").page, True

    def answer(route: Route) -> None:
        if not down:
            route.continue_()
        elif failure is None:
            route.abort()
        else:
            route.fulfill(status=failure, json={"error": {"code": "unhealthy", "message": "as the service says"}})

    page.route("**/page/messages/*.json", answer)
    page.goto(running.url)
    expect(page.locator("#connection")).to_have_text("connection lost")
    down = False
    expect(page.locator("#set")).to_have_text("Satz beginnen")
    expect(page.locator("#connection")).to_have_attribute("data-state", "good")
    expect(page.locator("#connection")).to_have_text("")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "token_needed", "open the address that the service printed"),
        (503, "too_many_viewers", "too many are watching"),
        (503, "unhealthy", "connection lost"),
    ],
)
def test_why_there_is_no_picture_is_told_and_stays(
    running: Service, visit: Open, status: int, code: str, words: str
) -> None:
    page = visit(PHONE).page
    body = json.dumps({"error": {"code": code, "message": "as the service says"}})
    page.route("**/api/live", lambda route: route.fulfill(status=status, body=body, content_type="application/json"))
    page.goto(running.url)
    expect(page.locator("#connection")).to_have_text(words)
    told = page.evaluate("""() => new Promise((resolve) => {
      const told = new Set([document.querySelector('#connection').textContent]);
      new MutationObserver(() => told.add(document.querySelector('#connection').textContent))
        .observe(document.querySelector('#connection'), { childList: true, characterData: true, subtree: true });
      setTimeout(() => resolve([...told]), 2500);
    })""")
    assert told == [words]


def test_calibration_counts_down_and_says_when_it_is_done(running: Service, visit: Open) -> None:
    page = visit(PHONE).open(running.url)
    page.keyboard.press("c")
    expect(page.locator("#message")).to_contain_text("keep still")
    expect(page.locator("#toast")).to_have_text("Calibrated")
    expect(page.locator("#message")).to_be_hidden()


def test_silence_is_shown_and_ends(running: Service, visit: Open) -> None:
    page = visit(PHONE).open(running.url)
    page.get_by_role("button", name="Quiet").click()
    expect(page.locator("#cue")).to_have_text("Quiet for 10 more minutes")
    page.get_by_role("button", name="Quiet").click()
    expect(page.get_by_role("button", name="Quiet")).to_have_attribute("aria-pressed", "false")


def test_another_language_speaks_throughout(running: Service, visit: Open) -> None:
    page = visit(PHONE, "de-DE").open(running.url)
    expect(page.locator("#set")).to_have_text("Satz beginnen")
    wait_for(page, "document.querySelector('#cue').textContent === 'Tiefer'")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.locator("#open-options").click()
    page.get_by_label("Sprache").select_option("en")
    page.keyboard.press("Escape")
    expect(page.locator("#set")).to_have_text("Start set")


@pytest.mark.parametrize("size", [PHONE, TELEVISION])
def test_everything_fits_and_the_picture_is_worth_looking_at(
    running: Service, visit: Open, size: tuple[int, int], tmp_path: Path
) -> None:
    page = visit(size).open(running.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate("document.documentElement.scrollHeight") <= size[1]
    for name in ("#stage", "#count", "#timer", "#set", "#exercise", "#calibrate", "#privacy", "#snooze", "#voice"):
        box = page.locator(name).bounding_box()
        assert box is not None, name
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= size[0], name
        assert box["y"] + box["height"] <= size[1], name
        assert name in ("#stage", "#count", "#timer") or box["height"] >= 44, name
    image = cv2.imdecode(np.frombuffer(io.BytesIO(page.screenshot()).getvalue(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100


def test_the_exercise_shown_is_the_one_that_is_coached(running: Service, visit: Open) -> None:
    page = visit(PHONE).open(running.url)
    chosen = page.get_by_role("combobox", name="Exercise")
    chosen.focus()
    running.change("PUT", "/api/exercise", {"name": "plank"})
    expect(chosen).to_have_value("plank")
    running.change("PUT", "/api/exercise", {"name": "squat"})
    expect(chosen).to_have_value("squat")
    refusal = json.dumps({"error": {"code": "set_under_way", "message": "a set is under way"}})
    page.route(
        "**/api/exercise",
        lambda route: route.fulfill(status=409, body=refusal, content_type="application/json"),
    )
    chosen.focus()
    chosen.select_option("lunge")
    expect(page.locator("#toast")).to_have_text("a set is under way")
    expect(chosen).to_have_value("squat")
    assert running.state()["exercise"] == "squat"


def test_a_kiosk_speaks_from_the_start_and_stays_silent_once_told_to(running: Service, visit: Open) -> None:
    page = visit(TELEVISION).open(f"{running.url}/?kiosk")
    voice = page.get_by_role("button", name="Spoken cues")
    expect(voice).to_have_attribute("aria-pressed", "true")
    voice.click()
    expect(voice).to_have_attribute("aria-pressed", "false")
    page.reload()
    wait_for(page, "document.querySelector('#picture').dataset.frame !== undefined")
    expect(voice).to_have_attribute("aria-pressed", "false")


def test_too_few_pictures_a_second_are_told_of(workout: Path, tmp_path: Path, visit: Open) -> None:
    with service("--source", workout, "--loop", "--max-fps", "3", "--state", tmp_path / "state") as slow:
        page = visit(TELEVISION).open(slow.url)
        expect(page.locator("#cue")).to_have_text("Too few pictures a second to count and judge well")
