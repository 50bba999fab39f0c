"""Each operation of an update is made to fail in turn; the device runs the old or the new bundle, and then converges.

The update goes from 1.0.0 to 1.1.0 with 0.9.0 as the previous bundle, so that it downloads, proves, activates, watches
and prunes. Its operations are found by watching a run, not listed here.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.edge.bundles import copy_bundle
from tests.edge.faults.operations import Fault, Operation
from tests.edge.faults.powercut import LOSSES, cuts
from tests.edge.http_fixtures import FakeRegistry, fake_registry, serving

from plumbline_edge.bundle import open_bundle
from plumbline_edge.state import StateFolder

pytestmark = pytest.mark.faults

NETWORK_FAULTS = ("failing", "cut", "silent", "corrupt", "endless", "trickling")


@dataclass
class Lab:
    """A device's folder before the update, and the means to run updates on copies of it."""

    registry: FakeRegistry
    before: Path
    work: Path
    health_url: str
    process: subprocess.Popen[str]
    cases: Counter[str] = field(default_factory=Counter)

    def update(self, folder: Path, fault: Fault | None = None, at: int = -1, record: Path | None = None) -> int:
        """Run an update in a process of its own; gives its exit code, negative for the signal that ended it."""
        request: dict[str, Any] = {"folder": str(folder), "url": self.registry.url, "health": self.health_url}
        request |= {
            "fault": fault,
            "at": at,
            "record": str(record) if record else "",
            "timeout": 0.3 if self.registry.fail_request else 5,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(json.loads(self.process.stdout.readline())["exit"])

    def copy(self) -> Path:
        folder = self.work / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.before, folder, symlinks=True)
        return folder

    def require_whole_then_converge(self, folder: Path, what: str) -> None:
        """The active bundle is whole, and the next update reaches the new one."""
        assert active_version(folder) in ("1.0.0", "1.1.0"), what
        (folder / "tmp").mkdir(exist_ok=True)
        self.registry.fail_request = None
        assert self.update(folder) == 0, f"{what}: the next update fails"
        assert active_version(folder) == "1.1.0", what
        self.cases[what.split(" at ")[0]] += 1


def active_version(folder: Path) -> str:
    """The version of the active bundle, whose every digest is checked. Raises where there is none."""
    return open_bundle(StateFolder(folder / "state").active_bundle_folder()).manifest.version


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    work = tmp_path_factory.mktemp("faults")
    wanted: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'plumbline_edge_bundle_info{{manifest_sha256="{wanted[-1]}"}} 1.0\n'.encode())

        def log_message(self, *_: object) -> None:
            pass

    command = [sys.executable, "-m", "tests.edge.faults.runner"]
    with (
        (work / "log").open("w") as log,
        fake_registry() as registry,
        serving(Service) as url,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        before = work / "before"
        (before / "tmp").mkdir(parents=True)
        (before / "root.json").write_bytes(registry.repository.anchor)
        running = Lab(registry, before, work, url, process)
        for version in ("0.9.0", "1.0.0"):
            wanted.append(registry.give(copy_bundle(work / version, version=version)))
            assert running.update(before) == 0, (work / "log").read_text()
        wanted.append(registry.give(copy_bundle(work / "1.1.0", version="1.1.0")))
        yield running
        print(f"\nfault matrix: {sum(running.cases.values())} cases: {dict(running.cases)}")
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def operations(lab: Lab) -> list[Operation]:
    """What the update does to the disk, in order."""
    folder, record = lab.copy(), lab.work / "operations"
    assert lab.update(folder, record=record) == 0
    assert active_version(folder) == "1.1.0"
    found: list[Operation] = pickle.loads(record.read_bytes())  # noqa: S301  # our own child wrote it
    counts = Counter(operation.kind for operation in found)
    assert {"create", "write", "fsync", "rename", "symlink", "unlink", "mkdir", "read"} <= set(counts), counts
    print(f"\n{len(found)} operations: {dict(counts)}")
    return found


@pytest.mark.parametrize("fault", get_args(Fault))
def test_every_operation_fails_once(lab: Lab, operations: list[Operation], fault: Fault) -> None:
    for at, operation in enumerate(operations):
        folder = lab.copy()
        exit_code = lab.update(folder, fault, at)
        what = f"{fault} at {at}: {operation.kind} {operation.path}"
        assert exit_code in ((-9,) if fault == "kill" else (0, 2)), f"{what}: exit {exit_code}"
        lab.require_whole_then_converge(folder, what)


def test_power_cut_before_every_operation(lab: Lab, operations: list[Operation]) -> None:
    # The operations were recorded in the folder "case"; the model begins as that folder was.
    model_of = lab.copy()
    for at, model in enumerate(cuts(model_of, operations)):
        for loss in LOSSES:
            folder = lab.work / "cut"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            model.write(loss, str(model_of), folder)
            lab.require_whole_then_converge(folder, f"power cut, {loss} at {at}: {operations[at]}")


@pytest.mark.parametrize("fault", NETWORK_FAULTS)
def test_every_request_fails_once(lab: Lab, fault: str) -> None:
    lab.registry.requests.clear()
    assert lab.update(lab.copy()) == 0
    count = len(lab.registry.requests)
    assert count >= 8
    for number in range(count):
        folder = lab.copy()
        lab.registry.requests.clear()
        lab.registry.fail_request = (number, fault)
        assert lab.update(folder) in (0, 2), f"{fault} at request {number}"
        lab.require_whole_then_converge(folder, f"request {fault} at {number}")
