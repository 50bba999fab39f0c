"""Flags over environment over defaults; each setting is in the README."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plumbline_edge.cli import main
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.settings import EdgeSettings, load_settings

README = Path(__file__).parents[2] / "edge" / "README.md"


PATHS = ("state", "bundle", "root", "device_token_file", "token_file", "diary", "judge")
"""Whose default the README tells in words."""


def listed() -> dict[str, str]:
    """Each setting's default as the README gives it."""
    return dict(re.findall(r"^\| `PLUMBLINE_EDGE_(\w+)` \| `?([^|`]*?)`? \|", README.read_text("utf-8"), re.MULTILINE))


def test_readme_lists_every_setting_with_its_default() -> None:
    rows = listed()
    assert set(rows) == {name.upper() for name in EdgeSettings.model_fields}
    for name, field in EdgeSettings.model_fields.items():
        if name not in PATHS:
            shown = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default}"
            assert rows[name.upper()] == shown.removesuffix(".0"), name


@pytest.mark.parametrize("name", [name for name in EdgeSettings.model_fields if name not in PATHS])
def test_every_setting_can_be_set_through_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PLUMBLINE_EDGE_{name.upper()}", listed()[name.upper()])
    assert getattr(load_settings(), name) == EdgeSettings.model_fields[name].default


def test_a_turn_set_through_the_environment_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_EDGE_ROTATE", "270")
    assert load_settings().camera.rotate == 270
    monkeypatch.setenv("PLUMBLINE_EDGE_ROTATE", "45")
    with pytest.raises(InvalidSettings, match="rotate is 45"):
        load_settings()


def test_a_cameras_index_in_a_file_is_a_number_or_text(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    for index in ("0", "'0'"):
        file.write_text(f"source: {index}\n")
        assert load_settings(file).source == "0"
    file.write_text("source: true\n")
    with pytest.raises(InvalidSettings, match=r"source is True: .*correct 'source' in"):
        load_settings(file)


def test_flag_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8080
    monkeypatch.setenv("PLUMBLINE_EDGE_PORT", "9000")
    assert load_settings(port=None).port == 9000
    assert load_settings(port=9001).port == 9001


def test_bad_value_names_flag_variable_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match=r"port is 70000: .*--port or PLUMBLINE_EDGE_PORT"):
        load_settings(port=70000)
    monkeypatch.setenv("PLUMBLINE_EDGE_STREAM_FPS", "fast")
    with pytest.raises(InvalidSettings, match=r"'fast'.*PLUMBLINE_EDGE_STREAM_FPS"):
        load_settings()


def test_inference_leaves_a_core_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert load_settings().inference_threads == 3
    assert load_settings(threads=2).inference_threads == 2
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert load_settings().inference_threads == 1


def test_a_file_stands_between_environment_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("port: 9000\nexercise: push_up\nresolution: 640x480\n")
    assert load_settings(file).port == 9000
    assert load_settings(file).camera.size == (640, 480)
    monkeypatch.setenv("PLUMBLINE_EDGE_PORT", "9001")
    assert (load_settings(file).port, load_settings(file).exercise) == (9001, "push_up")
    assert load_settings(file, port=9002).port == 9002
    monkeypatch.setenv("PLUMBLINE_EDGE_CONFIG", str(file))
    assert load_settings().exercise == "push_up"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("portt: 9000", r"there is no setting 'portt'; did you mean 'port'\?"),
        ("port: eighty", r"port is 'eighty': .*correct 'port' in '.*edge.yaml'"),
        ("portt: 1\nnonsense: 2", r"no setting 'portt'; did you mean 'port'\?; there is no setting 'nonsense'; "),
        ("port: 70000\nperson: tallest", r"person is 'tallest': .*; port is 70000: .*correct 'port' in"),
        ("- port", "holds list, not 'name: value' lines"),
        ("port: [", "is no YAML"),
        ("name: 2026-02-30", "is no YAML: day is out of range for month"),
        ("port: " + "[" * 2000, "is no YAML: maximum recursion depth"),
        ("resolution: huge", "resolution is 'huge'"),
        ("person: tallest", "person is 'tallest'"),
    ],
)
def test_mistakes_in_the_file_are_told_by_name(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=message):
        load_settings(file)
    assert main(["config", "check", str(file)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_home_is_where_a_file_says_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "edge.yaml"
    file.write_text("".join(f"{name}: ~/{name}\n" for name in PATHS))
    settings = load_settings(file)
    assert [getattr(settings, name) for name in PATHS] == [tmp_path / name for name in PATHS]
    file.write_text("state: ~nobody-of-this-name/state")
    with pytest.raises(InvalidSettings, match=r"state is '~nobody-of-this-name/state': .*home"):
        load_settings(file)


def test_config_shows_what_would_be_used_and_its_own_output_is_a_good_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("max_fps: 5")
    assert main(["config", "show", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "max_fps: 5.0" in shown
    file.write_text(shown)
    assert main(["config", "check", str(file)]) == 0
    assert main(["config", "schema"]) == 0
    assert "max_fps" in json.loads(capsys.readouterr().out.partition("\n")[2])["properties"]
