"""The fleet that the tests play with: stand-in Pis, one stand-in server for registry and monitoring, an inventory."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.infra.fleet.pis import Pi, Run, play, wheelhouse
from tests.infra.machine import LAB, ROOT, program
from tests.infra.servers import query_by

from plumbline_contract.manifest import BundleFile, Manifest, parse_manifest

BUNDLE = Path(os.environ.get("PLUMBLINE_FLEET_BUNDLE", ROOT / "models/hrnet-edge-s"))
SHIPPED = parse_manifest((BUNDLE / "manifest.json").read_bytes()).version
"""Every other version that the tests publish comes after it."""
CLIP = Path(os.environ.get("PLUMBLINE_FLEET_CLIP", ROOT / "samples/squats.mp4"))
COUNT = int(os.environ.get("PLUMBLINE_FLEET_PIS", "6"))
PIS = tuple(Pi(f"pi{number:02d}", f"10.79.0.{10 + number}") for number in range(1, COUNT + 1))
CANARY, REST = PIS[0], PIS[1:]
HUB = Pi("hub", "10.79.0.30")
CLIP_ON_PI = "/srv/plumbline/squats.mp4"
FRAMES_PER_SECOND = 2.0
NAME = "hrnet-edge-s"
REGISTRY = f"http://{HUB.ip}:8100"
PROMETHEUS = f"http://{HUB.ip}:9090"
WHEELS = LAB / "fleet-wheels"
"""Built anew only where sources changed."""


@dataclass(frozen=True)
class Fleet:
    """Where the operator's files are."""

    folder: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yml"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run a playbook; its report, if any, is `self.report`; what it printed stays in NUMBER-PLAYBOOK.log."""
        (self.folder / "report.md").unlink(missing_ok=True)
        # The size of a batch is a play's own, which no variable of a host reaches.
        settings = ("-e", f"deploy_report={self.folder / 'report.md'}", "-e", "deploy_batch=100%")
        run = play(playbook, self.inventory, *settings, *arguments)
        number = len(list(self.folder.glob("*.log"))) + 1
        (self.folder / f"{number:02}-{Path(playbook).stem}.log").write_text(f"{run.output}\n{run.seconds:.0f} s\n")
        return run

    @property
    def report(self) -> dict[str, str]:
        """Pi -> outcome, of the last rollout."""
        rows = [
            line.split("|") for line in (self.folder / "report.md").read_text().splitlines() if line.startswith("| pi")
        ]
        return {row[1].strip(): row[2].strip() for row in rows}

    def registry(self, *arguments: str) -> str:
        """Run plumbline-registry as the operator. Raises CalledProcessError."""
        connection = ["--url", REGISTRY, "--token-file", str(self.folder / "operator.token")]
        done = subprocess.run(
            [program("plumbline-registry"), *arguments, *connection], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, bundle: Path) -> str:
        """Publish a bundle folder and have the stable channel give it; returns its version."""
        version = parse_manifest((bundle / "manifest.json").read_bytes()).version
        self.registry("publish", str(bundle))
        self.promote(version)
        return version

    def promote(self, version: str) -> None:
        self.registry("promote", NAME, version, "stable", "--reason", "fleet test", "--keys", str(self.keys))

    def versions(self) -> dict[str, str]:
        """Pi -> version of the bundle that it runs, as Prometheus saw it last; one that is down is left out."""
        answer = query_by(PROMETHEUS, 'plumbline_edge_bundle_info{job="edge"}', "pi", "version")
        return {labels[0]: labels[1] for labels in answer}


def write_inventory(folder: Path, pis: tuple[Pi, ...] = PIS, **edge: object) -> None:
    """The inventory of the whole fleet, with all that an operator would set; `edge` over what all Pis have."""
    hosts = {pi.name: {"ansible_host": pi.ip} for pi in pis}
    everything = {
        "ansible_user": "pi",
        "ansible_ssh_private_key_file": str(LAB / "id_ed25519"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder / 'known_hosts'} -o LogLevel=ERROR",
    }
    children = {
        "canary": {"hosts": {CANARY.name: hosts[CANARY.name]}},
        "fleet": {"hosts": {pi.name: hosts[pi.name] for pi in pis[1:]}},
    }
    hub = {HUB.name: {"ansible_host": HUB.ip}}
    groups = {
        "all": {"vars": everything},
        "edge": {"vars": _edge(folder) | edge, "children": children},
        "registry": {"vars": _registry(folder), "hosts": hub},
        "monitoring": {"vars": _monitoring(), "hosts": hub},
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(groups))


def _edge(folder: Path) -> dict[str, object]:
    return {
        "edge_bundle_registry": REGISTRY,
        "edge_bundle_root": str(folder / "keys/root.json"),
        "edge_bundle_name": NAME,
        "edge_bundle_update_after_boot": "5s",
        "edge_bundle_update_spread": "1s",
        "edge_bundle_watch_seconds": 5,
        "edge_app_wheels_dir": str(WHEELS),
        "edge_app_wheelhouse": str(wheelhouse()),
        "edge_app_host": "0.0.0.0",  # noqa: S104 (the lab's network ends at this machine)
        "edge_app_source": CLIP_ON_PI,
        "edge_app_loop": True,
        "edge_app_environment": {"PLUMBLINE_EDGE_THREADS": 1},
        # Eight systems share this machine with whatever else runs on it.
        "edge_app_watchdog_seconds": 30,
        "edge_app_start_seconds": 60,
        "edge_host_swap_mb": 16,
        "edge_gate_ready_seconds": 30,
        "edge_gate_window_seconds": 2,
        "edge_gate_max_slowdown": 3,
        "edge_gate_slack_seconds": 0.1,
    }


def _registry(folder: Path) -> dict[str, object]:
    return {
        "registry_host_address": "0.0.0.0",  # noqa: S104
        "registry_host_keys_dir": str(folder / "keys"),
        "registry_host_token_file": str(folder / "operator.token"),
        "registry_host_wheels_dir": str(LAB / "fleet-wheels-registry"),
        "registry_host_wheelhouse": str(wheelhouse("registry")),
    }


def _monitoring() -> dict[str, object]:
    return {
        "monitoring_address": "0.0.0.0:9090",
        "monitoring_alertmanager_address": "0.0.0.0:9093",
        "monitoring_registry": f"{HUB.ip}:8100",
        "monitoring_scrape_seconds": 3,
    }


def copy_of_bundle(out: Path, version: str) -> Path:
    """The default bundle under another version."""
    shutil.copytree(BUNDLE, out)
    manifest = parse_manifest((BUNDLE / "manifest.json").read_bytes())
    reseal(out, manifest.model_copy(update={"version": version}))
    return out


def reseal(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with the digests that the files have now."""
    files = {}
    for name in manifest.files:
        content = (folder / name).read_bytes()
        files[name] = BundleFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    (folder / "manifest.json").write_text(manifest.model_copy(update={"files": files}).to_json())
