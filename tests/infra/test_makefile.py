"""What workflows and people hand to make reaches our programs as it is, and is never run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.infra.machine import ROOT

RECORDER = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["ARGUMENTS_FILE"], "w") as file:
    json.dump(sys.argv[1:], file)
"""
PROGRAMS = ("python", "plumbline-registry", "ansible-playbook")
WORKFLOWS = ROOT / ".github/workflows"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Stands in for .venv: programs that write down how they were called, younger than all that it is made of."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        (folder / "bin" / name).write_text(RECORDER)
        (folder / "bin" / name).chmod(0o755)
    (folder / ".ready").touch()
    tomorrow = time.time() + 86400
    os.utime(folder / ".ready", (tomorrow, tomorrow))
    return folder


def _make(environment: Path, target: str, *given: str, **variables: str) -> list[str]:
    """The arguments that the target's program got."""
    file = environment / "arguments.json"
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    known = {**bare, "ARGUMENTS_FILE": str(file), **variables}
    # roll-out looks for its program below the checkout.
    venv = os.path.relpath(environment, ROOT)
    command = ["make", "--no-print-directory", target, f"VENV={venv}", f"PYTHON={sys.executable}", *given]
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    arguments: list[str] = json.loads(file.read_text())
    return arguments


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def _hostile(mark: Path) -> tuple[str, ...]:
    return (
        f'1.0.0"; touch {mark}; "',
        f"$(shell touch {mark})",
        f"$$(touch {mark})",
        f"`touch {mark}`",
        f"1.0.0; touch {mark} #",
        f"1.0.0\ntouch {mark}",
        "two words",
    )


def test_retraining_runs_nothing_of_its_inputs(environment: Path, tmp_path: Path) -> None:
    options = ("data", "data-root", "recipe", "stages", "precision", "recorded", "registry", "keys", "reason")
    for text in _hostile(tmp_path / "mark"):
        variables = {name.upper().replace("-", "_"): text for name in options}
        arguments = _make(environment, "retrain", VERSION=text, RUNS=text, CONTAINERS=text, JUDGE=text, **variables)
        assert _option(arguments, "--version") == text
        assert _option(arguments, "--out") == f"{text}/{text}"
        assert [_option(arguments, f"--{name}") for name in options] == [text] * len(options)
    assert not (tmp_path / "mark").exists()


def test_promoting_and_rolling_out_run_nothing_of_their_inputs(environment: Path, tmp_path: Path) -> None:
    names = ("BUNDLE", "VERSION", "REASON", "REGISTRY", "KEYS")
    for text in _hostile(tmp_path / "mark"):
        arguments = _make(environment, "promote", "CHANNEL=stable", **dict.fromkeys(names, text))
        assert arguments == ["promote", text, text, "stable", "--reason", text, "--url", text, "--keys", text]
        assert _make(environment, "roll-out", INVENTORY=text) == ["-i", text, "deploy.yml"]
        reported = _make(environment, "roll-out", INVENTORY=text, REPORT=text)
        assert reported == ["-i", text, "-e", f"deploy_report='{text}'", "deploy.yml"]
    assert not (tmp_path / "mark").exists()


def test_retraining_takes_what_is_said_on_the_command_line(environment: Path) -> None:
    arguments = _make(environment, "retrain", "VERSION=0.5.17", "RUNS=var/runs", "DATA_ROOT=my data")
    expected = ["-m", "infra.retrain", "--version", "0.5.17", "--out", "var/runs/0.5.17", "--reason", "retrained"]
    assert arguments == [*expected, "--data-root", "my data"]
    judge = _make(environment, "retrain", "VERSION=0.5.17", "RUNS=var/runs", "JUDGE=1", "RECORDED=form.npz")
    assert judge == [*expected, "--precision", "dynamic", "--judge", "--recorded", "form.npz"]
    served = _make(environment, "retrain", "VERSION=0.5.17", "RUNS=var/runs", "REGISTRY=http://r:8100", "KEYS=var/keys")
    assert served == [*expected, "--registry", "http://r:8100", "--keys", "var/keys"]


@pytest.mark.parametrize(
    ("workflow", "job", "good"),
    [
        ("retrain.yml", "retrain", {"RECIPE": "edge_s", "STAGES": "128x96:20:1.5,256x192:5", "PRECISION": "int8"}),
        ("retrain.yml", "retrain", {"RECIPE": "tiny", "STAGES": "", "PRECISION": "fp32"}),
        ("deploy.yml", "deploy", {"BUNDLE": "hrnet-edge-s", "VERSION": "0.5.17"}),
        ("deploy.yml", "deploy", {"BUNDLE": "form-judge", "VERSION": "1.0.0-rc.1"}),
    ],
)
def test_workflows_check_their_inputs(tmp_path: Path, workflow: str, job: str, good: dict[str, str]) -> None:
    steps = yaml.safe_load((WORKFLOWS / workflow).read_text("utf-8"))["jobs"][job]["steps"]
    script = next(step["run"] for step in steps if step.get("name") == "Check the inputs")

    def check(inputs: dict[str, str]) -> int:
        return subprocess.run(["bash", "-e", "-c", script], env=inputs, capture_output=True, check=False).returncode

    assert check(good) == 0
    for name in good:
        assert {check({**good, name: text}) for text in _hostile(tmp_path / "mark")} == {1}
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("workflow", "job"), [("retrain.yml", "retrain"), ("deploy.yml", "deploy")])
def test_workflows_paste_no_input_into_a_script(workflow: str, job: str) -> None:
    steps = yaml.safe_load((WORKFLOWS / workflow).read_text("utf-8"))["jobs"][job]["steps"]
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def _script(name: str) -> str:
    steps = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text("utf-8"))["jobs"]["deploy"]["steps"]
    return str(next(step["run"] for step in steps if step.get("name") == name))


def test_roll_out_wants_its_inventory_outside_the_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for folder in (tmp_path, checkout):
        (folder / "inventory.yml").touch()
    (tmp_path / "link").symlink_to(checkout)

    def check(inventory: str) -> int:
        known = {"INVENTORY": inventory, "GITHUB_WORKSPACE": str(checkout), "PATH": os.environ["PATH"]}
        command = ["bash", "-e", "-c", _script("Check where the inventory lies")]
        return subprocess.run(command, env=known, cwd=checkout, capture_output=True, check=False).returncode

    assert check(str(tmp_path / "inventory.yml")) == 0
    inside = (str(checkout / "inventory.yml"), str(tmp_path / "link/inventory.yml"), "inventory.yml")
    assert {check(path) for path in (*inside, str(tmp_path / "missing.yml"), "")} == {1}


@pytest.mark.parametrize(("report", "said"), [("# Rollout: done\n", "# Rollout: done\n"), (None, "It ended before")])
def test_roll_out_shows_its_report_on_the_page_of_the_run(tmp_path: Path, report: str | None, said: str) -> None:
    if report:
        (tmp_path / "rollout.md").write_text(report)
    known = {"REPORT": str(tmp_path / "rollout.md"), "GITHUB_STEP_SUMMARY": str(tmp_path / "page")}
    script = _script("Show what came of it")
    subprocess.run(["bash", "-e", "-c", script], env={**known, "PATH": os.environ["PATH"]}, check=True)
    assert (tmp_path / "page").read_text().startswith(said)
