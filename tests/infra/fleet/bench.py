"""What a rollout takes: seconds at 2, 4 and 6 Pis in one batch, with other forks, and without Mitogen and pipelining.

The stand-in Pis share this machine with Ansible, so wall time also holds what they compute; the processor time of the
control host alone, of ansible-playbook and its children, is what grows with a real fleet. Run: make bench-fleet
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.infra.fleet.fleet import BUNDLE, CLIP, CLIP_ON_PI, HUB, PIS, SHIPPED, Fleet, copy_of_bundle, write_inventory
from tests.infra.fleet.pis import ANSIBLE, Pi, booted, slow_clip
from tests.infra.machine import exclusive, program

WINDOW_SECONDS = 2
CASES: tuple[tuple[int, dict[str, str]], ...] = (
    (6, {}),
    (6, {"ANSIBLE_FORKS": "1"}),
    (6, {"ANSIBLE_STRATEGY": "linear"}),
    (6, {"ANSIBLE_STRATEGY": "linear", "ANSIBLE_PIPELINING": "False"}),
    (4, {}),
    (2, {}),
)


@dataclass(frozen=True)
class Cost:
    """One run of deploy.yml."""

    seconds: float
    control_cpu_seconds: float


def timed(fleet: Fleet, pis: tuple[Pi, ...], **environment: str) -> Cost:
    """Roll out to these Pis at once. Raises AssertionError when it does not go well."""
    limit = ",".join(pi.name for pi in pis)
    command = [program("ansible-playbook"), "-i", str(fleet.inventory), "deploy.yml", "--limit", limit]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [*command, "-e", f"deploy_report={fleet.folder / 'report.md'}", "-e", "deploy_batch=100%"],
        cwd=ANSIBLE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    assert done.returncode == 0, done.stdout
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def prepare(folder: Path) -> Fleet:
    """A provisioned fleet without canaries, whose gate looks only for a moment."""
    write_inventory(folder, PIS, edge_gate_window_seconds=WINDOW_SECONDS)
    inventory = yaml.safe_load((folder / "inventory.yml").read_text())
    groups = inventory["edge"]["children"]
    groups["fleet"]["hosts"] |= groups.pop("canary")["hosts"]
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    clip = slow_clip(CLIP, folder / "clip.mp4", 2.0)
    for pi in PIS:
        pi.copy(clip, CLIP_ON_PI)
    fleet = Fleet(folder)
    for step in (("site.yml", "--limit", HUB.name), ("site.yml",)):
        run = fleet.play(*step)
        if step == ("site.yml", "--limit", HUB.name):
            fleet.publish(BUNDLE)
            fleet.publish(copy_of_bundle(folder / "v2", "0.6.0"))
        assert run.code == 0, run.output
        print(f"{' '.join(step)}: {run.seconds:.0f} s", flush=True)
    return fleet


def main() -> None:
    with tempfile.TemporaryDirectory() as name, exclusive("fleet"), booted(*PIS, HUB):
        fleet = prepare(Path(name))
        versions = [SHIPPED, "0.6.0"]
        # From the most Pis to the fewest, so that those of a run are all on the other version before it.
        for count, environment in CASES:
            fleet.promote(versions[0])
            versions.reverse()
            report("new bundle", count, environment, timed(fleet, PIS[:count], **environment))
        report("nothing to do", 2, {}, timed(fleet, PIS[:2]))


def report(what: str, count: int, environment: dict[str, str], cost: Cost) -> None:
    print(
        f"{what}, {count} Pis {environment or ''}: {cost.seconds:.1f} s, {cost.seconds / count:.1f} s a Pi,"
        f" control host {cost.control_cpu_seconds:.1f} CPU s",
        flush=True,
    )


if __name__ == "__main__":
    main()
