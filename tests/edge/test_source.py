"""Files, pictures, cameras and streams as frames; and what is said when they are not there."""

from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.edge.dots import write_video
from tests.edge.http_fixtures import mjpeg_camera

from plumbline_edge.addresses import without_password
from plumbline_edge.errors import SourceTruncated, SourceUnavailable
from plumbline_edge.frame import Frame, FrameSource
from plumbline_edge.source import open_source


def read_all(source: FrameSource) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def test_video_gives_every_frame_in_order_with_its_time(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "clip.mp4", frames=30, rate=25.0)))
    frames = read_all(source)
    assert not source.live
    assert source.frame_rate == pytest.approx(25.0)
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.timestamp_seconds for frame in frames], np.arange(30) / 25, atol=1e-9)
    # The frame's number is its brightness, give or take what the codec loses.
    np.testing.assert_allclose([frame.image_bgr_HW3.mean() for frame in frames], 5 * np.arange(30), atol=4)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_file_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceUnavailable, match=rf"clip\.mp4.*no video.*\({len(content)} bytes\)"):
        open_source(str(path))


def test_video_whose_header_is_cut_off(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(SourceUnavailable, match="header is cut off"):
        open_source(str(path))


def test_video_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for _ in range(60):
        writer.write(np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(str(path))
    with pytest.raises(SourceTruncated, match=r"breaks off after \d+ of 60 frames"):
        read_all(source)


def test_missing_file_names_it() -> None:
    with pytest.raises(SourceUnavailable, match=r"'/nowhere/clip\.mp4': no such file"):
        open_source("/nowhere/clip.mp4")


@pytest.mark.parametrize("name", ["x" * 300, "file/clip.mp4"])
def test_path_that_cannot_be_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(SourceUnavailable, match="check --source and its folder"):
        open_source(str(tmp_path / name))


def test_folder_of_pictures_in_name_order(tmp_path: Path) -> None:
    for name, value in (("b.png", 20), ("a.png", 10), ("c.jpg", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((40, 50, 3), value, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    frames = read_all(open_source(str(tmp_path)))
    assert [round(float(frame.image_bgr_HW3.mean())) for frame in frames] == [10, 20, 30]


def test_single_picture_is_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((40, 50, 3), np.uint8))
    assert len(read_all(open_source(str(tmp_path / "one.png")))) == 1


def test_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="holds no picture"):
        open_source(str(tmp_path))


def test_picture_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_bytes(b"text")
    with pytest.raises(SourceUnavailable, match=r"fake\.jpg.*cannot be decoded"):
        open_source(str(tmp_path / "fake.jpg")).read()


@pytest.mark.parametrize("device", ["97", "/dev/video97"])
def test_camera_that_is_not_there_lists_those_that_are(device: str) -> None:
    with pytest.raises(SourceUnavailable, match=r"no /dev/video97; (cameras found: /dev/video|no camera is connected)"):
        open_source(device)


def test_mjpeg_stream_over_http() -> None:
    with mjpeg_camera(pictures_a_connection=12) as url:
        source = open_source(url)
        frames = read_all(source)
    assert source.live
    assert len(frames) >= 10  # the demuxer may keep back the last, which no boundary follows
    assert frames[0].image_bgr_HW3.shape == (120, 160, 3)
    assert (np.diff([frame.timestamp_seconds for frame in frames]) > 0).all()


def test_stream_that_is_down() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=rf"stream 'http://127.0.0.1:{port}/live': no video"):
        open_source(f"http://127.0.0.1:{port}/live")


def test_passwords_stay_out_of_names() -> None:
    assert without_password("rtsp://user:secret@camera:554/live?x=1") == "rtsp://***@camera:554/live?x=***"
    assert without_password("rtsp://camera/live") == "rtsp://camera/live"
    assert without_password("http://camera/live?user=me&key=a=b&secret") == "http://camera/live?user=***&key=***&***"
    for password in ("pa#ss", "pa/ss", "pa?ss", "pa@ss", "pa[ss"):
        assert without_password(f"rtsp://admin:{password}@camera:554/live") == "rtsp://***@camera:554/live"


def test_a_home_of_nobody_is_told() -> None:
    with pytest.raises(SourceUnavailable, match=r"source '~nobody-of-this-name/x\.mp4': .*home.*; check --source"):
        open_source("~nobody-of-this-name/x.mp4")
