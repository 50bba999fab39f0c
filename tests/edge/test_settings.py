"""Flags over environment over defaults; each setting is in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plumbline_edge.errors import InvalidSettings
from plumbline_edge.settings import EdgeSettings, load_settings

README = Path(__file__).parents[2] / "edge" / "README.md"


def test_readme_lists_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `PLUMBLINE_EDGE_(\w+)` \| `?([^|`]*?)`? \|", README.read_text("utf-8"), re.MULTILINE))
    assert set(rows) == {name.upper() for name in EdgeSettings.model_fields}
    for name, field in EdgeSettings.model_fields.items():
        if name not in ("state", "bundle", "root", "device_token_file"):
            shown = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default}"
            assert rows[name.upper()] == shown.removesuffix(".0"), name


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
