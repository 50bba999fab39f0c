"""A kit goes to a machine in parts, trains there, and its weights come back in small files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plumbline_training.checkpoint import load_checkpoint, weights_of

MakeDataset = Callable[[Path, int], Path]
SCRIPT = Path(__file__).parents[2] / "training" / "gpu-kit.sh"
IMPORTS = """
import re, sys
from importlib import import_module, metadata

def normal(name):
    return re.sub("[-_.]+", "-", name).lower()

def with_needed(names, found):
    for name in names - found:
        found.add(name)
        plain = [text for text in metadata.requires(name) or () if "extra ==" not in text]
        installed = {normal(re.match(r"[\\w.-]+", text)[0]) for text in plain} & INSTALLED
        with_needed(installed, found)
    return found

INSTALLED = {normal(dist.metadata["Name"]) for dist in metadata.distributions()}
DISTRIBUTIONS = metadata.packages_distributions()
THERE = with_needed({"torch", "numpy"}, set()) | {normal(name) for name in sys.argv[2:]}

class Lacking:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        by = {normal(each) for each in DISTRIBUTIONS.get(top, ())}
        if by and not by & THERE and top not in ("plumbline_training", "plumbline_contract"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking())
for module in sys.argv[1].split():
    import_module(f"plumbline_training.{module}")
"""
"""Imports modules where there are but torch, numpy, what these need, and the distributions that are named."""

SEEN = """
from pathlib import Path

Path(__file__).with_name("seen").touch()
"""


def kit(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "WHEELS": "no", "OMP_NUM_THREADS": "1"}
    command = [*map(str, [SCRIPT, *arguments])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.skipif(sys.platform != "linux", reason="coreutils")
def test_the_whole_way_there_and_back(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 16)
    here, there, run = tmp_path / "here", tmp_path / "there", tmp_path / "run"
    kit("pack", data, data.parent, here, 1)
    parts = sorted((here / "parts").iterdir())
    kit("take", *parts, there)
    assert "is whole" in kit("check", there).stdout
    options = ["--recipe", "tiny", "--batch-size", 8, "--quiet"]
    kit("train", os.path.relpath(there), run, 5, *options)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    # What only the kit has is found without being named again, from elsewhere too.
    assert Path(f"{run}.kit").read_text() == f"{there}\n"
    (there / "site/sitecustomize.py").write_text(SEEN)
    (tmp_path / "files").mkdir()
    (tmp_path / "files/best-half.pt.part-99").write_text("of an earlier, larger collection")
    kit("collect", run, tmp_path / "files", 1)
    assert (there / "site/seen").exists()
    kit("join", tmp_path / "files", tmp_path / "joined")
    joined, best = (load_checkpoint(folder / "best.pt") for folder in (tmp_path / "joined", run))
    for name, value in weights_of(best).items():
        torch.testing.assert_close(weights_of(joined)[name].float(), value.float(), atol=1e-3, rtol=1e-3)
    assert json.loads((tmp_path / "joined" / "run.json").read_text())["train"][0]["id"] == "made"


@pytest.mark.skipif(sys.platform != "linux", reason="coreutils")
def test_collecting_from_an_unknown_kit_asks_for_it(tmp_path: Path) -> None:
    done = kit("collect", tmp_path / "run", tmp_path / "files", check=False)
    assert done.returncode == 2
    assert "name the kit: KIT=folder" in done.stderr
    assert not (tmp_path / "files").exists()


def imported(modules: str, wheels: set[str]) -> str:
    """What Python says to the imports; nothing where they succeed."""
    command = [sys.executable, "-c", IMPORTS, modules, *wheels]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_what_the_machine_imports_is_among_its_wheels() -> None:
    listed = re.search(r"^wheels=\((.*?)\)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    wheels = {name.partition("==")[0] for name in listed[1].split()}
    assert imported("cli half textfile", wheels) == ""
    assert imported("cli half", wheels - {"prometheus-client"}) == ""
    assert "onnxruntime" in imported("cli half", wheels - {"onnxruntime"})


@pytest.mark.skipif(sys.platform != "linux", reason="coreutils")
def test_a_part_that_is_missing_or_damaged_is_named(make_dataset: MakeDataset, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 4)
    kit("pack", data, data.parent, tmp_path / "kit", 1)
    shard = next((tmp_path / "kit" / "made").glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[2000] ^= 1
    shard.write_bytes(bytes(content))
    done = kit("train", tmp_path / "kit", tmp_path / "run", 1, "--recipe", "tiny", check=False)
    assert done.returncode != 0
    assert "made/made-000.tar: FAILED" in done.stdout
    assert not (tmp_path / "run").exists()
    assert kit("check", tmp_path / "nowhere", check=False).returncode != 0
    assert "usage" in kit("unpack", tmp_path, check=False).stdout
