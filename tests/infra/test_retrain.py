"""What `make retrain` makes of a promotion that the registry does not take."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.retrain import SAMPLE_CLIP, Programs, make_bundle, make_judge, programs, release
from tests.infra.machine import ROOT

MANIFEST = {"name": "hrnet-tiny", "version": "0.5.1"}
REFUSAL = "error: the registry refused (gate_refused): hrnet-tiny 0.5.1 does not pass into canary: ap: -0.2"


@dataclass(frozen=True)
class Scripted(Programs):
    """Every command goes well but the promotion to canary, which ends and speaks as told."""

    code: int = 0
    said: str = ""
    commands: list[str] = field(default_factory=list)

    def attempt(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(str(arguments[0]))
        to_canary = "canary" in arguments
        return subprocess.CompletedProcess([], self.code if to_canary else 0, self.said if to_canary else "")


def _release(code: int, said: str) -> str | None:
    arguments = argparse.Namespace(registry="http://127.0.0.1:1", keys=Path("keys"), reason="retrained")
    programs = Scripted(False, code=code, said=said)
    refused = release(arguments, programs, Path("bundle"), MANIFEST)
    assert programs.commands == ["publish", "promote", "promote"]
    return refused


def test_a_promotion_that_goes_well_is_no_refusal() -> None:
    assert _release(0, "hrnet-tiny canary gives 0.5.1\n") is None


def test_the_gates_refusal_is_told_whatever_is_printed_around_it() -> None:
    assert _release(2, f"Container plumbline-registry-1  Running\n{REFUSAL}\n\n") == REFUSAL
    assert _release(2, f"{REFUSAL}\nexit status 2\n") == REFUSAL


@pytest.mark.parametrize(
    "said",
    [
        "error: no registry answers at 'http://127.0.0.1:1' (refused); start one with `plumbline-registry serve`",
        "error: the registry refused (forbidden): token 'publisher' has no scope 'promote'",
        "error: canary 3 was accepted, but no signer published it within 30 s",
        "",
    ],
)
def test_another_failure_is_no_refusal_of_the_gates(said: str) -> None:
    with pytest.raises(SystemExit, match="error: plumbline-registry ended with 2"):
        _release(2, said)


LIST = """
train:
  - {id: many, annotations: many.json, images: many}
  - {id: like, annotations: like.json, images: like/images, repeat: 6}
  - {id: mute, annotations: mute.json, images: mute, repeat: 9, unlabelled: true}
validation: {id: seen, annotations: seen.json, images: seen}
"""


@dataclass(frozen=True)
class Converting(Programs):
    """Notes which programs are run and what the converter is asked, and leaves the bundle that it would."""

    asked: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def attempt(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        self.names.append(name)
        if name.startswith("plumbline-convert") and "--explain" not in words:
            self.asked.extend(words)
            bundle = Path(words[words.index("--out") + 1]) / "int8"
            assert "--overwrite" in words or not bundle.exists()
            _leave_bundle(bundle, words[words.index("--version") + 1])
        return subprocess.CompletedProcess([], 0, "")


def _leave_bundle(bundle: Path, version: str, sealed: bool = False) -> None:
    bundle.mkdir(parents=True, exist_ok=True)
    files: dict[str, object] = {"model.tflite": {}} if sealed else {}
    (bundle / "manifest.json").write_text(json.dumps({"version": version, "files": files}))


def _arguments(tmp_path: Path, *options: str) -> argparse.Namespace:
    (tmp_path / "data.yaml").write_text(LIST)
    return argparse.Namespace(
        out=tmp_path / "run", data=tmp_path / "data.yaml", data_root=None, recipe="tiny", stages=None, init=None,
        precision="int8", golden=Path("golden.mp4"), version="0.5.1", recorded=None, options=list(options),
    )  # fmt: skip


def _asked_of_the_converter(tmp_path: Path, *options: str) -> list[str]:
    programs = Converting(False)
    make_bundle(_arguments(tmp_path, *options), programs)
    return programs.asked


def test_int8_is_calibrated_on_the_training_set_that_counts_most(tmp_path: Path) -> None:
    asked = _asked_of_the_converter(tmp_path)
    expected = ["--calibration", str(tmp_path / "like.json"), "--calibration-images", str(tmp_path / "like/images")]
    assert asked[asked.index("--calibration") :] == expected


def test_bundles_of_a_run_that_was_stopped_between_them_are_replaced(tmp_path: Path) -> None:
    assert "--overwrite" in _asked_of_the_converter(tmp_path)


def test_other_pictures_to_calibrate_on_may_be_named_but_not_the_sample(tmp_path: Path) -> None:
    asked = _asked_of_the_converter(tmp_path, "--calibration=photos", "--calibration-samples", "24")
    assert asked[-3:] == ["--calibration=photos", "--calibration-samples", "24"]
    assert "--calibration-images" not in asked
    with pytest.raises(SystemExit, match="one rendered person"):
        _asked_of_the_converter(tmp_path / "run", "--calibration", "samples/squats.mp4")
    (tmp_path / "like/images").mkdir(parents=True)
    (tmp_path / "like/images/0.tar").touch()
    with pytest.raises(SystemExit, match="holds shards"):
        _asked_of_the_converter(tmp_path)


MAKE = pytest.mark.parametrize("make", [make_bundle, make_judge])
Make = Callable[[argparse.Namespace, Programs], Path]


@MAKE
def test_a_finished_bundle_of_another_version_is_not_published_again(tmp_path: Path, make: Make) -> None:
    _leave_bundle(tmp_path / "run/bundles/int8", "0.5.0", sealed=True)
    programs = Converting(False)
    with pytest.raises(SystemExit, match=r"error: .*int8 is version 0\.5\.0, not 0\.5\.1; name another --out"):
        make(_arguments(tmp_path), programs)
    assert programs.names == []


@MAKE
def test_a_draft_is_converted_again_and_a_finished_bundle_is_not(tmp_path: Path, make: Make) -> None:
    bundle = tmp_path / "run/bundles/int8"
    for version, sealed in (("0.5.0", False), ("0.5.1", False), ("0.5.1", True)):
        _leave_bundle(bundle, version, sealed)
        programs = Converting(False)
        assert make(_arguments(tmp_path), programs) == bundle
        assert bool(programs.asked) == ("plumbline-seal" in programs.names) == (not sealed)
        assert json.loads((bundle / "manifest.json").read_bytes())["version"] == "0.5.1"


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({}, None),
        ({"init": "data/teacher.pt"}, None),
        ({"init": "teacher.pt"}, "--init"),
        ({"init": "data/link.pt"}, "--init"),
        ({"init": "data/../teacher.pt"}, "--init"),
        ({"data": "lists/data.yaml"}, "--data"),
        ({"golden": "clip.mp4"}, "--golden"),
        ({"recorded": "form.npz"}, None),
        ({"recorded": "form.npz", "judge": True}, "--recorded"),
        ({"data": "lists/data.yaml", "judge": True}, None),
        ({"options": ["--calibration=photos/pushups"]}, "photos/pushups"),
        ({"options": ["--calibration", "data/photos", "--calibration-samples", "24"]}, None),
    ],
)
def test_a_file_that_containers_would_not_see_is_refused_before_anything_runs(
    tmp_path: Path, changed: dict[str, Any], refused: str | None
) -> None:
    for folder in ("data/photos", "photos/pushups", "lists"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/link.pt").symlink_to(tmp_path / "teacher.pt")
    arguments = _arguments(tmp_path, *(_below(tmp_path, word) for word in changed.get("options", [])))
    paths = {name: tmp_path / value for name, value in changed.items() if isinstance(value, str)}
    known = {"data": tmp_path / "data/list.yaml", "golden": SAMPLE_CLIP, "out": tmp_path / "runs/0.5.1"} | paths
    given = {**vars(arguments), "judge": False, **changed, **known, "options": arguments.options, "keys": None}
    asked = argparse.Namespace(**given, containers=True)
    asked.data_root = tmp_path / "data"
    if refused is None:
        assert programs(asked).environment["DATA_DIR"] == str(tmp_path / "data")
        return
    with pytest.raises(SystemExit, match=f"error: .*{refused}: .* is in none of the folders that containers see: /"):
        programs(asked)
    asked.containers = False
    assert not programs(asked).containers


def _below(folder: Path, word: str) -> str:
    """The option with its path, if it has one, below the folder."""
    name, equals, value = word.rpartition("=")
    return f"{name}{equals}{folder / value}" if "/" in value else word


def test_versions_of_the_workflow_are_above_the_shipped_one() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/retrain.yml").read_text("utf-8"))["jobs"]["retrain"]
    prefix = re.fullmatch(r"(\d+)\.(\d+)\.\$\{\{ github\.run_number \}\}", job["env"]["VERSION"])
    assert prefix
    shipped = json.loads((ROOT / "models/hrnet-edge-s/manifest.json").read_text())["version"]
    assert (int(prefix[1]), int(prefix[2])) > tuple(map(int, shipped.split(".")[:2]))
