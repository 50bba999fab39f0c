"""docker-compose.yml on a real engine: the images build, all comes up healthy, and Prometheus has the edge's FPS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.infra.compose import BUNDLE, Stack, up
from tests.infra.machine import ROOT, program, wait_for
from tests.infra.servers import query, query_by

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with up() as running:
        yield running


def test_all_services_answer(stack: Stack) -> None:
    ready = [f"{stack.prometheus}/-/ready", f"{stack.alertmanager}/-/ready"]
    for url in (f"{stack.registry}/readyz", f"{stack.edge}/healthz", *ready):
        assert httpx.get(url).status_code == 200, url
    assert httpx.get(f"{stack.registry}/readyz").headers["server"] == "nginx"


def test_prometheus_has_the_edges_fps_and_the_hosts_disk(stack: Stack) -> None:
    fps = wait_for("the edge's FPS", lambda: query(stack.prometheus, "plumbline_edge_fps > 1"), 90)
    assert set(fps) == {"edge:8080"}
    targets = {("edge",): 1, ("registry",): 1, ("node",): 1}
    wait_for("all targets to be up", lambda: query_by(stack.prometheus, "up", "job") == targets)
    assert query(stack.prometheus, 'node_filesystem_avail_bytes{mountpoint="/"}')
    print(f"\nPrometheus: plumbline_edge_fps {fps}")


def test_prometheus_tells_alertmanager(stack: Stack) -> None:
    known = httpx.get(f"{stack.prometheus}/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    assert [item["url"] for item in known] == ["http://alertmanager:9093/api/v2/alerts"]


def test_registry_takes_a_bundle_and_keeps_it_over_a_restart(stack: Stack) -> None:
    command = [program("plumbline-registry"), "publish", str(BUNDLE), "--url", stack.registry]
    subprocess.run(command, env=stack.operator, check=True)
    stack.compose("restart", "--timeout", "5", "registry")
    wait_for("the registry", lambda: httpx.get(f"{stack.registry}/readyz").is_success)
    assert len(httpx.get(f"{stack.registry}/v1/bundles").json()["bundles"]) == 1


def test_images_hold_no_training_framework(stack: Stack) -> None:
    find = "import importlib.util as u; print([n for n in ('torch', 'tensorflow', 'pip') if u.find_spec(n)])"
    for service in ("edge", "registry"):
        assert stack.compose("exec", "--no-TTY", service, "python", "-c", find).strip() == "[]", service
        assert stack.compose("exec", "--no-TTY", service, "id", "-u").strip() == "10001", service


def test_bill_of_materials_names_what_is_installed(stack: Stack, tmp_path: Path) -> None:
    command = ["make", "image-boms", "PARTS=edge", f"BOMS={tmp_path}"]
    subprocess.run(command, cwd=ROOT, env=stack.environment, check=True)
    bill = json.loads((tmp_path / "image-edge.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"].startswith("sha256:")
    named = {component["purl"].split("@")[0] for component in bill["components"]}
    assert {"pkg:pypi/plumbline-edge", "pkg:pypi/ai-edge-litert", "pkg:deb/debian/libc6"} <= named
    assert "pkg:pypi/torch" not in named


def test_sizes_are_told(stack: Stack) -> None:
    for image in ("plumbline/edge", "plumbline/registry"):
        shown = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Size}}", image], capture_output=True, text=True, check=True
        )
        size_mb = int(shown.stdout) / 1e6
        print(f"\n{image}: {size_mb:.0f} MB")
        assert size_mb < 700
