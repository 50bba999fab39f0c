"""A kit goes to a machine in parts, trains there, and its weights come back in small files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plumbline_training.checkpoint import load_checkpoint, weights_of

MakeDataset = Callable[[Path, int], Path]
SCRIPT = Path(__file__).parents[2] / "training" / "gpu-kit.sh"


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
    kit("train", there, run, 5, *options)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    kit("collect", run, tmp_path / "files", 1)
    kit("join", tmp_path / "files", tmp_path / "joined")
    joined, best = (load_checkpoint(folder / "best.pt") for folder in (tmp_path / "joined", run))
    for name, value in weights_of(best).items():
        torch.testing.assert_close(weights_of(joined)[name].float(), value.float(), atol=1e-3, rtol=1e-3)
    assert json.loads((tmp_path / "joined" / "run.json").read_text())["train"][0]["id"] == "made"


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
