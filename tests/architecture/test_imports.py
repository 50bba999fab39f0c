"""Data flows through files and HTTP, never through imports; each runtime is known in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "plumbline_contract": ROOT / "contract" / "plumbline_contract",
    "plumbline_training": ROOT / "training" / "plumbline_training",
    "plumbline_conversion": ROOT / "conversion" / "plumbline_conversion",
    "plumbline_registry": ROOT / "services" / "registry" / "plumbline_registry",
    "plumbline_edge": ROOT / "edge" / "plumbline_edge",
}
FORBIDDEN = {
    "plumbline_contract": {"torch", "tensorflow", "fastapi", "onnx", "ai_edge_litert", "tflite_runtime"},
    "plumbline_training": {"tensorflow", "fastapi"},
    "plumbline_conversion": {"torch", "fastapi"},
    "plumbline_registry": {"torch", "tensorflow", "onnx", "cv2", "ai_edge_litert", "tflite_runtime"},
    "plumbline_edge": {"torch", "tensorflow", "onnx", "sqlalchemy"},
}


def imports_of(path: Path) -> set[str]:
    """Top-level names of everything a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def importers(package: str, names: set[str]) -> set[str]:
    """Files of a package that import any of the names, relative to it."""
    folder = PACKAGES[package]
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py") if imports_of(path) & names}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_part_imports_the_contract_and_no_other_part(package: str) -> None:
    others = set(PACKAGES) - {package, "plumbline_contract"}
    assert list(PACKAGES[package].rglob("*.py")), f"{package} has no files: the check would prove nothing"
    assert importers(package, others) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_part_keeps_to_its_footprint(package: str) -> None:
    assert importers(package, FORBIDDEN[package]) == set()


def test_one_file_of_the_edge_imports_litert() -> None:
    # The runtime is found by name at run time, so the text is searched, not only the import statements.
    files = PACKAGES["plumbline_edge"].rglob("*.py")
    assert {path.name for path in files if re.search("ai_edge_litert|tflite_runtime", path.read_text())} == {
        "runtime.py"
    }


def test_one_package_of_conversion_imports_tensorflow() -> None:
    files = importers("plumbline_conversion", {"tensorflow"})
    assert {Path(file).parts[0] for file in files} == {"tensorflow_backend"}


def test_one_file_of_the_registry_knows_the_object_store() -> None:
    assert importers("plumbline_registry", {"obstore"}) == {"stores/s3.py"}


def test_the_coach_knows_no_camera_clock_or_network() -> None:
    folder = PACKAGES["plumbline_edge"] / "coach"
    outside = {"cv2", "time", "datetime", "socket", "httpx", "fastapi", "threading"}
    assert {path.name for path in folder.rglob("*.py") if imports_of(path) & outside} == set()
