"""`make bench-page`: how old the picture is when the page has drawn it, and what three viewers cost inference.

The age is the browser's own: from the frame's capture in the service to its drawing on the canvas, on one machine and
so by one clock. For the cost, pictures come faster than the network is, so that inference takes all it can get; rounds
with and without viewers alternate, and the medians of their FPS are compared. The viewers only read what they are sent.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from infra.edge_service import edge_service

ROOT: Final = Path(__file__).parent.parent
VIEWERS: Final = 3
AGES: Final = """(count) => new Promise((resolve) => {
  const ages = [], canvas = document.querySelector('#picture');
  canvas.addEventListener('drawn', () => {
    ages.push([Number(canvas.dataset.latencyMs), canvas.dataset.frame - canvas.dataset.poseFrame]);
    if (ages.length === count) resolve(ages);
  });
})"""


@contextmanager
def service(arguments: argparse.Namespace) -> Iterator[str]:
    """A service on the sample clip, ready; its address."""
    more = ("--loop", "--threads", str(arguments.threads))
    with (
        tempfile.TemporaryDirectory() as state,
        edge_service(arguments.bundle, str(arguments.clip), "--state", state, *more) as (url, _),
    ):
        while httpx.get(url + "/readyz").status_code != 200:
            time.sleep(0.2)
        yield url


def processed(url: str) -> tuple[float, int]:
    """Now, and how many frames went through the network."""
    return time.monotonic(), httpx.get(url + "/api/state").json()["frames"]


def fps_over(url: str, seconds: float) -> float:
    """Frames a second through the network."""
    began_at, before = processed(url)
    time.sleep(seconds)
    ended_at, after = processed(url)
    return (after - before) / (ended_at - began_at)


READ: Final = """
import selectors, socket, sys
port, viewers, ready = int(sys.argv[1]), int(sys.argv[2]), selectors.DefaultSelector()
for _ in range(viewers):
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(b"GET /api/live HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % port)
    ready.register(one, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        if not key.fileobj.recv(1 << 20):
            sys.exit("a viewer was cut off")
"""


@contextmanager
def watching(url: str, viewers: int) -> Iterator[None]:
    """So many viewers of the live stream, who only receive: in truth they are on other machines."""
    process = subprocess.Popen([sys.executable, "-c", READ, url.rpartition(":")[2], str(viewers)])
    try:
        time.sleep(2)
        yield
        if process.poll() is not None:
            sys.exit("error: the viewers ended before their time")
    finally:
        process.kill()
        process.wait()


def viewers_cost(url: str, rounds: int, seconds: float) -> None:
    """Print the FPS without and with viewers; the cost is the median of the rounds' own."""
    pairs = []
    for _ in range(rounds):
        without = fps_over(url, seconds)
        with watching(url, VIEWERS):
            pairs.append((without, fps_over(url, seconds)))
    before, after = (statistics.median(values) for values in zip(*pairs, strict=True))
    costs = sorted(100 * (1 - with_them / without) for without, with_them in pairs)
    print(
        f"viewers={VIEWERS} fps_without={before:.2f} fps_with={after:.2f} cost_percent={statistics.median(costs):.1f}"
        f" of_rounds={','.join(f'{cost:.1f}' for cost in costs)}",
        flush=True,
    )


def page_latency(url: str, pictures: int) -> None:
    """Print how old pictures are when the page has drawn them."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        sys.exit("error: no chromium is here; apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(url)
        page.wait_for_timeout(3000)
        ages = page.evaluate(AGES, pictures)
        browser.close()
    milliseconds = [age for age, _ in ages]
    in_step = sum(behind == 0 for _, behind in ages)
    p50, p95 = statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]
    print(f"page_latency_ms p50={p50:.1f} p95={p95:.1f} pictures={len(ages)} with_their_own_pose={in_step}", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "hrnet-edge-s")
    parser.add_argument("--clip", type=Path, default=ROOT / "samples" / "squats.mp4")
    parser.add_argument("--fast-clip", type=Path, help="a clip with more pictures a second than the network manages")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--pictures", type=int, default=200)
    arguments = parser.parse_args()
    with service(arguments) as url:
        page_latency(url, arguments.pictures)
    with tempfile.TemporaryDirectory() as folder:
        arguments.clip = arguments.fast_clip or sped_up(arguments.clip, Path(folder) / "fast.mp4")
        with service(arguments) as url:
            viewers_cost(url, arguments.rounds, arguments.seconds)


def sped_up(clip: Path, out: Path) -> Path:
    """The same pictures at 120 a second."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), 120.0, size)
    while (read := capture.read())[0]:
        writer.write(read[1])
    writer.release()
    return out


if __name__ == "__main__":
    main()
