"""The command as a user meets it: a process, its output and its exit code."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.edge.bundles import copy_bundle
from tests.edge.dots import DOTS_FP32, DOTS_INT8, picture, squats, write_pictures
from tests.edge.http_fixtures import fake_registry, mjpeg_camera

from plumbline_edge.cli import main

SUMMARY = re.compile(
    r"^summary reps=(?P<reps>\d+) faults=(?P<faults>\S+) frames=(?P<frames>\d+)"
    r" persons_seen_frames=(?P<seen>\d+) fps=\d+\.\d p95_latency_ms=\d+\.\d output=(?P<output>.+)$",
    re.MULTILINE,
)
SAMPLE = Path(__file__).parents[2] / "samples" / "squats.mp4"
RATE = 30.0
SIZE = (240, 320)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Edge = Callable[..., Ended]


@pytest.fixture
def edge(capfd: pytest.CaptureFixture[str]) -> Edge:
    """Runs the command line in this process, which saves starting one each time."""

    def run(*arguments: str | Path) -> Ended:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Ended(code, *capfd.readouterr())

    return run


def summary_of(output: str) -> dict[str, str]:
    match = SUMMARY.search(output)
    assert match is not None, output
    return match.groupdict()


def one_error_line(result: Ended) -> str:
    assert result.code == 2, result
    lines = [line for line in result.err.splitlines() if not line.startswith("INFO: Created TensorFlow Lite")]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="session")
def workout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures: a squat and one that is too shallow."""
    frames = [*squats(1, rate=RATE, size=SIZE), *squats(1, rate=RATE, depth=0.58, size=SIZE)[round(RATE) :]]
    return write_pictures(tmp_path_factory.mktemp("workout") / "frames", frames, SIZE)


@pytest.mark.parametrize("bundle", [DOTS_FP32, DOTS_INT8], ids=["fp32", "int8"])
def test_once_counts_names_faults_and_writes_the_video(edge: Edge, tmp_path: Path, workout: Path, bundle: Path) -> None:
    output = tmp_path / "annotated.mp4"
    result = edge("run", "--bundle", bundle, "--source", workout, "--once", "--output", output)
    assert result.code == 0, result.err
    frames = len(list(workout.iterdir()))
    assert summary_of(result.out) == {
        "reps": "1", "faults": "too_shallow:1", "frames": str(frames), "seen": str(frames), "output": str(output),
    }  # fmt: skip
    video = cv2.VideoCapture(str(output))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == frames
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(RATE)
    assert [path.name for path in tmp_path.iterdir()] == ["annotated.mp4"]


@pytest.mark.parametrize(("flags", "said"), [((), ["Go lower"]), (("--sensitivity", "low"), [])])
def test_a_less_sensitive_coach_speaks_less(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, workout: Path, flags: tuple[str, ...], said: list[str]
) -> None:
    heard: list[str] = []
    monkeypatch.setattr("plumbline_edge.service._speaker", lambda _: heard.append)
    result = edge("run", "--bundle", DOTS_FP32, "--source", workout, "--once", *flags)
    assert summary_of(result.out)["faults"] == "too_shallow:1"
    assert heard == said
    assert "--sensitivity {low,normal,high}" in edge("run", "--help").out


def test_once_gives_the_same_twice(edge: Edge, workout: Path) -> None:
    runs = [edge("run", "--bundle", DOTS_FP32, "--source", workout, "--once").out for _ in range(2)]
    assert summary_of(runs[0]) == summary_of(runs[1])


def test_pictures_without_a_person(edge: Edge, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 90, (200, 300, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    cv2.imwrite(str(tmp_path / "black.png"), picture(None))
    for source, frames in ((tmp_path, "2"), (tmp_path / "noise.png", "1")):
        command: list[str | Path] = ["run", "--bundle", DOTS_FP32, "--source", source, "--once"]
        refused = edge(*command, "--output", tmp_path / "out.mp4")
        assert f"nobody is seen in its {frames} pictures" in one_error_line(refused)
        assert not (tmp_path / "out.mp4").exists()
        result = edge(*command, "--allow-nobody")
        assert result.code == 0, result.err
        assert summary_of(result.out) == {
            "reps": "0", "faults": "none", "frames": frames, "seen": "0", "output": "none",
        }  # fmt: skip


def test_commands_start_without_the_pages_framework() -> None:
    """It takes a Pi seconds to import, and a Pi asks for an update every hour."""
    script = "import sys; import plumbline_edge.cli; print({'fastapi', 'uvicorn'} & sys.modules.keys() or 'none')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"


def test_bench_names_the_bundle_and_the_device(edge: Edge, tmp_path: Path) -> None:
    lines = edge("bench", DOTS_INT8).out.splitlines()
    assert "precision=int8" in lines[0]
    assert "device='" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == ["threads=1", "threads=2", "threads=4"]
    for line in lines[1:]:
        p50_ms, p95_ms = (float(pair.partition("=")[2]) for pair in line.split()[3:])
        assert 0 < p50_ms <= p95_ms
    assert "holds no manifest.json" in one_error_line(edge("bench", tmp_path))


def test_verify(edge: Edge, tmp_path: Path) -> None:
    result = edge("verify", DOTS_INT8)
    assert result.code == 0
    assert re.match(r"verified: dots 1\.0\.0 int8 manifest_sha256=[0-9a-f]{64} golden_samples=2 ", result.out)
    assert "holds no manifest.json" in one_error_line(edge("verify", tmp_path))


def test_update_then_run_the_active_bundle(edge: Edge, tmp_path: Path, workout: Path) -> None:
    state = tmp_path / "state"
    with fake_registry() as registry:
        digest = registry.give(copy_bundle(tmp_path / "v2", version="2.0.0"), "canary")
        (tmp_path / "root.json").write_bytes(registry.repository.anchor)
        command: list[str | Path] = [
            "update",
            "--registry",
            registry.url,
            "--root",
            tmp_path / "root.json",
            "--name",
            "dots",
            "--channel",
            "canary",
            "--state",
            state,
        ]
        first, second = edge(*command), edge(*command)
    assert first.code == second.code == 0, first.err
    assert f"activated: dots 2.0.0 ({digest[:12]})" in first.out
    assert second.out.splitlines()[-1] == f"already active: dots 2.0.0 ({digest[:12]})"
    assert summary_of(edge("run", "--state", state, "--source", workout, "--once").out)["reps"] == "1"
    assert "registry" in one_error_line(edge(*command))


BAD_INPUT: list[tuple[Sequence[str | Path], str]] = [
    (["--source", "missing.mp4"], "'missing.mp4': no such file"),
    (["--source", "97"], "no /dev/video97"),
    (["--source", Path(__file__)], "no video can be read"),
    (["--source", "http://127.0.0.1:9/live"], "no video within"),
    (["--source", "rtsp://admin:pa[ss@127.0.0.1:9/live"], "stream 'rtsp://***@127.0.0.1:9/live': no video within"),
    (["--source", "missing.mp4", "--exercise", "levitation"], "no exercise is called 'levitation'"),
    (["--source", SAMPLE, "--bundle", "/nowhere"], "'/nowhere' holds no manifest.json"),
    (["--source", "missing.mp4", "--threads", "-1"], "threads is -1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT)
def test_bad_input_is_one_line_and_exit_2(edge: Edge, arguments: Sequence[str | Path], message: str) -> None:
    assert message in one_error_line(edge("run", "--bundle", DOTS_FP32, "--once", *arguments))


@pytest.mark.parametrize("url", ["http://[", "http://fe80::1:8080", "http://admin:pa[ss@pi:8080"])
def test_an_address_that_is_none_is_one_line_without_it(edge: Edge, tmp_path: Path, url: str) -> None:
    asked = one_error_line(edge("kiosk", "--url", url, "--browser", "true", "--state", tmp_path))
    assert asked.startswith("error: url is no URL; give http://HOST:PORT")
    watched = one_error_line(edge("update", "--health-url", url, "--state", tmp_path))
    assert watched.startswith("error: health_url is no URL; give http://HOST:PORT")
    assert "pa[ss" not in asked + watched


def test_output_that_cannot_be(edge: Edge, tmp_path: Path, workout: Path) -> None:
    run: list[str | Path] = ["run", "--bundle", DOTS_FP32, "--source", workout]
    assert "needs --once" in one_error_line(edge(*run, "--output", tmp_path / "out.mp4"))
    assert "there is no folder" in one_error_line(edge(*run, "--once", "--output", tmp_path / "none" / "out.mp4"))
    assert "must end in .mp4" in one_error_line(edge(*run, "--once", "--output", tmp_path / "out.xyz"))
    assert list(tmp_path.iterdir()) == []


def test_output_that_is_the_source_itself_is_refused(edge: Edge, tmp_path: Path) -> None:
    recording, link = tmp_path / "mine.mp4", tmp_path / "link.mp4"
    recording.write_bytes(SAMPLE.read_bytes())
    link.symlink_to(recording)
    for source, output in ((recording, recording), (recording, link), (link, recording)):
        result = edge("run", "--bundle", DOTS_FP32, "--source", source, "--once", "--output", output, "--allow-nobody")
        assert f"output {str(output)!r} is the source itself" in one_error_line(result)
    assert recording.read_bytes() == SAMPLE.read_bytes()
    assert link.is_symlink()


def test_once_needs_a_recording(edge: Edge, tmp_path: Path) -> None:
    with mjpeg_camera(pictures_a_connection=40) as url:
        result = edge("run", "--bundle", DOTS_FP32, "--source", url, "--once", "--output", tmp_path / "out.mp4")
    assert "--once needs a recording" in one_error_line(result)
    assert list(tmp_path.iterdir()) == []


def test_sources_mistake_is_told_before_the_model_is_loaded(edge: Edge) -> None:
    result = edge("run", "--bundle", DOTS_FP32, "--source", "missing.mp4", "--once")
    assert result.err.splitlines() == [one_error_line(result)]


def test_truncated_video_leaves_no_output(edge: Edge, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (480, 360))
    for keypoints in squats(1):
        writer.write(picture(keypoints))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = edge("run", "--bundle", DOTS_FP32, "--source", path, "--once", "--output", tmp_path / "out.mp4")
    assert "truncated" in one_error_line(result)
    assert [item.name for item in tmp_path.iterdir()] == ["clip.avi"]


def test_interrupted_once_leaves_no_output(tmp_path: Path, workout: Path) -> None:
    source = tmp_path / "long"
    source.mkdir()
    pictures = sorted(workout.iterdir())
    for index in range(5_000):
        (source / f"{index:06d}.png").symlink_to(pictures[index % len(pictures)])
    output = tmp_path / "out"
    output.mkdir()
    arguments = [
        "run",
        "--bundle",
        str(DOTS_FP32),
        "--source",
        str(source),
        "--once",
        "--output",
        str(output / "out.mp4"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "plumbline_edge", *arguments], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not list(output.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "stopped by a signal" in errors
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("command", [[], ["run"], ["update"], ["verify"], ["bench"]])
def test_help_teaches(edge: Edge, command: list[str]) -> None:
    result = edge(*command, "--help")
    assert result.code == 0
    assert "examples:" in result.out
    assert "plumbline-edge " + " ".join(command) in result.out
