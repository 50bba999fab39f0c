"""The README names every setting, error code and metric, with what the code says of them, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from plumbline_registry.errors import ERRORS, FRAMEWORK_ERRORS, RegistryError
from plumbline_registry.settings import ENV_PREFIX, Settings

README = Path(__file__).parents[2] / "services" / "registry" / "README.md"


def section(title: str) -> str:
    return README.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", section("Settings"), re.MULTILINE))
    fields = Settings.model_fields
    assert set(rows) == {ENV_PREFIX + name.upper() for name in fields}
    for name, field in fields.items():
        shown = "" if field.default is None else str(field.default).removesuffix(".0")
        assert rows[ENV_PREFIX + name.upper()].removesuffix(".0") == shown


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = {
        code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Errors"), re.MULTILINE)
    }
    assert rows == {spec.code: spec.status for spec in (*ERRORS.values(), *FRAMEWORK_ERRORS)}


def test_codes_are_not_shared() -> None:
    codes = [spec.code for spec in (*ERRORS.values(), *FRAMEWORK_ERRORS)]
    assert len(codes) == len(set(codes))


def test_every_error_of_the_server_has_a_code() -> None:
    in_errors_py = [kind for kind in RegistryError.__subclasses__() if kind.__module__ == RegistryError.__module__]
    assert set(in_errors_py) <= set(ERRORS)


def test_every_metric_is_documented(client: httpx.Client) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", section("Metrics"), re.MULTILINE))
    served = set(re.findall(r"^# TYPE (plumbline_\w+)", client.get("/metrics").text, re.MULTILINE))
    assert rows == {name for name in served if not name.endswith("_created")}
