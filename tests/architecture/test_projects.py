"""What each part's pyproject.toml asks for, and the locks that pin it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib

ROOT = Path(__file__).parents[2]
PARTS = ("contract", "training", "conversion", "services/registry", "edge")
FORBIDDEN = {
    "contract": {"torch", "tensorflow", "tensorflow-cpu", "fastapi"},
    "training": {"tensorflow", "tensorflow-cpu"},
    "conversion": {"torch"},
    "services/registry": {"torch", "tensorflow", "tensorflow-cpu", "ai-edge-litert"},
    "edge": {"torch", "tensorflow", "tensorflow-cpu"},
}


def project(folder: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def names(requirements: list[str]) -> set[str]:
    """Normalised names of requirement lines."""
    matches = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", match.group()).lower() for match in matches if match}


def locked(path: Path) -> dict[str, str]:
    """Package -> version of a lock."""
    pins: dict[str, str] = {}
    for line in filter(None, path.read_text(encoding="utf-8").splitlines()):
        name, _, version = line.partition("==")
        pins[re.sub(r"[-_.]+", "-", name).lower()] = re.split("[; ]", version)[0]
    return pins


@pytest.mark.parametrize("part", PARTS)
def test_no_part_asks_for_what_it_must_not_have(part: str) -> None:
    wanted = names(project(part)["dependencies"])
    assert wanted
    assert not wanted & FORBIDDEN[part]
    assert project(part)["license"] == "Apache-2.0"


@pytest.mark.parametrize("part", ["contract", "edge"])
def test_contract_and_edge_run_on_python_3_10(part: str) -> None:
    assert project(part)["requires-python"] == ">=3.10"


@pytest.mark.parametrize("part", ["training", "conversion", "services/registry", "edge"])
def test_each_lock_pins_what_its_part_asks_for_and_nothing_forbidden(part: str) -> None:
    wanted = names(project(part)["dependencies"] + project("contract")["dependencies"]) - {"plumbline-contract"}
    locks = sorted((ROOT / "requirements").glob(f"{Path(part).name}-py*.txt"))
    assert locks
    for lock in locks:
        pins = locked(lock)
        assert wanted - {"tensorflow"} <= set(pins), lock.name
        assert not FORBIDDEN[part] & set(pins), lock.name
        assert all(re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) for version in pins.values()), lock.name


def test_locks_of_parts_that_share_an_environment_agree() -> None:
    for lock in (ROOT / "requirements").glob("registry-py*.txt"):
        registry, edge = locked(lock), locked(lock.with_name(lock.name.replace("registry", "edge")))
        differing = {name for name in set(registry) & set(edge) if registry[name] != edge[name]}
        assert differing == set(), lock.name


@pytest.mark.parametrize(
    ("ending", "names", "line"),
    [
        ("-aarch64", ["edge-py310", "edge-py312"], r"\S+==\S+ --hash=sha256:[0-9a-f]{64}"),
        (
            "-image",
            ["conversion-py311", "edge-py311", "registry-py311"],
            r"\S+==\S+( ;.*?)?( --hash=sha256:[0-9a-f]{64}){1,2}",
        ),
    ],
)
def test_hashed_locks_are_their_parts_with_a_digest_for_each_package(ending: str, names: list[str], line: str) -> None:
    hashed = sorted((ROOT / "requirements").glob(f"*{ending}.txt"))
    assert [path.name for path in hashed] == [f"{name}{ending}.txt" for name in names]
    for path in hashed:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert all(re.fullmatch(line, text) for text in lines)
        assert locked(path) == locked(path.with_name(path.name.replace(ending, "")))
