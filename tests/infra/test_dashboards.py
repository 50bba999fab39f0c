"""Every query of every dashboard gives numbers, from a real Prometheus that scrapes real edges, a registry and a host.

Two edges run different versions, hot and held down by their firmware, one fails an update, a third is off; devices
ask the registry, and a training run writes its textfile. Pictures of the dashboards are left in var/dashboards.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import Event

import httpx
import pytest
import yaml
from infra.edge_service import edge_service
from infra.grafana.preview import Prometheus, draw, empty
from tests.e2e.registry_process import serving_registry
from tests.infra.fleet.fleet import BUNDLE, CLIP, copy_of_bundle
from tests.infra.grafana_types import check_types
from tests.infra.machine import ROOT, free_port, program, require_root_and, running, wait_for
from tests.infra.servers import query

from plumbline_contract.manifest import parse_manifest

pytestmark = pytest.mark.dashboards

MakeDataset = Callable[[Path, int], Path]
PATHS = sorted((ROOT / "infra/grafana/dashboards").glob("*.json"))
PICTURES = ROOT / "var/dashboards"
SCRAPE_SECONDS = 2
LONGEST_WAIT_SECONDS = 60
HOT = """
mount -t tmpfs none /sys/class/thermal && mkdir /sys/class/thermal/thermal_zone0
echo 81200 >/sys/class/thermal/thermal_zone0/temp
mount -t tmpfs none /sys/devices/platform && mkdir -p /sys/devices/platform/soc/soc:firmware
echo 4 >/sys/devices/platform/soc/soc:firmware/get_throttled
exec "$@"
"""
"""A Pi at 81 degrees whose firmware holds it down, to the program that is started so and to nobody else."""


class Registry:
    """A registry, its operator and its devices."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url, self._folder = url, folder
        scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
        self._token = self._run("token", *scopes, "--tokens-file", folder / "tokens.json").split()[0]
        self._operate("init", "--keys", folder / "keys")

    def give(self, bundle: Path, channel: str) -> None:
        """Publish and promote."""
        version = parse_manifest((bundle / "manifest.json").read_bytes()).version
        self._operate("publish", bundle)
        self._operate("promote", BUNDLE.name, version, channel, "--reason", "test", "--keys", self._folder / "keys")

    def update(self, state: Path, channel: str, url: str = "") -> int:
        """A device's update; its exit code."""
        options = ["--registry", url or self.url, "--root", self._folder / "keys/root.json", "--channel", channel]
        command = [program("plumbline-edge"), "update", "--state", state, *options]
        return subprocess.run(list(map(str, command)), check=False).returncode

    def _operate(self, *arguments: object) -> str:
        return self._run(*arguments, "--url", self.url)

    def _run(self, *arguments: object) -> str:
        environment = {"PLUMBLINE_REGISTRY_TOKEN": getattr(self, "_token", "")}
        command = [program("plumbline-registry"), *map(str, arguments)]
        return subprocess.check_output(command, text=True, env=environment)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, make_dataset: MakeDataset) -> Iterator[Prometheus]:
    require_root_and("prometheus", "prometheus-node-exporter", "unshare")
    folder = tmp_path_factory.mktemp("watched")
    (folder / "registry").mkdir()
    with ExitStack() as stack:
        registry = Registry(folder / "registry", stack.enter_context(serving_registry(folder / "registry")))
        node, server = (f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(2))
        off = f"localhost:{free_port('127.0.0.1')}"  # after the others by name: the first one is looked at
        collector = [f"--web.listen-address={node}", f"--collector.textfile.directory={folder / 'textfile'}"]
        stack.enter_context(running([program("prometheus-node-exporter"), *collector], folder / "node.log"))
        edges = [stack.enter_context(edge) for edge in _edges(folder, registry)]
        targets = {"edge": [*edges, off], "node": [node], "registry": [registry.url]}
        stack.enter_context(running(_prometheus(folder, server, targets), folder / "prometheus.log"))
        # What happens seldom happens now, while Prometheus looks.
        wait_for("the edges", lambda: len(query(f"http://{server}", "plumbline_edge_fps > 1")) == 2)
        registry.give(copy_of_bundle(folder / "0.9.2", "0.9.2"), "dev")
        assert registry.update(folder / "stable", "stable", "http://127.0.0.1:9") != 0
        assert registry.update(folder / "stable", "stable") == 0
        _train(make_dataset(folder / "data", 12), folder)
        with ThreadPoolExecutor() as devices, httpx.stream("GET", f"{edges[0]}/stream.mjpg"):
            over = Event()
            devices.submit(_poll, registry, over)
            try:
                yield Prometheus(f"http://{server}", seconds=120, rate_interval=f"{4 * SCRAPE_SECONDS}s")
            finally:
                over.set()


def _edges(folder: Path, registry: Registry) -> Iterator[AbstractContextManager[str]]:
    """One with the stable bundle and one with canary's, both hot and as the registry gave them."""
    registry.give(BUNDLE, "stable")
    registry.give(copy_of_bundle(folder / "0.9.1", "0.9.1"), "canary")
    for channel in ("stable", "canary"):
        state = folder / channel
        assert registry.update(state, channel) == 0
        options = ["--state", str(state), "--loop", "--max-fps", "8", "--threads", "1"]
        hot = ["unshare", "--mount", "sh", "-euc", HOT, "sh"]
        yield _address(edge_service(state / "active", str(CLIP), *options, within=hot))


@contextmanager
def _address(edge: AbstractContextManager[tuple[str, int]]) -> Iterator[str]:
    with edge as (address, _):
        yield address


def _poll(registry: Registry, over: Event) -> None:
    """As devices do, until it is over."""
    while not over.wait(SCRAPE_SECONDS):
        httpx.get(f"{registry.url}/v1/bundles")


def _prometheus(folder: Path, server: str, targets: dict[str, list[str]]) -> list[str]:
    """The repository's configuration with these targets and a shorter interval; the command that serves it."""
    configuration = folder / "prometheus"
    shutil.copytree(ROOT / "infra/prometheus", configuration)
    main = configuration / "prometheus.yml"
    content = yaml.safe_load(main.read_text())
    content["global"] = {f"{name}_interval": f"{SCRAPE_SECONDS}s" for name in ("scrape", "evaluation")}
    del content["alerting"]
    main.write_text(yaml.safe_dump(content))
    for job, addresses in targets.items():
        entry = {"targets": [address.removeprefix("http://") for address in addresses]}
        (configuration / "targets" / f"{job}.yml").write_text(yaml.safe_dump([entry]))
    options = [f"--config.file={main}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={server}"]
    return [program("prometheus"), *options]


def _train(data: Path, folder: Path) -> None:
    options = ["--recipe", "tiny", "--data", data, "--out", folder / "run"]
    options += ["--textfile", folder / "textfile/first.prom"]
    subprocess.run([program("plumbline-train"), *map(str, options), "--quiet"], check=True)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_query_gives_numbers(prometheus: Prometheus, path: Path) -> None:
    dashboard = json.loads(path.read_text())
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while (lacking := empty(dashboard, prometheus)) and time.monotonic() < deadline:
        time.sleep(SCRAPE_SECONDS)
    PICTURES.mkdir(parents=True, exist_ok=True)
    draw(dashboard, prometheus, PICTURES / f"{path.stem}.png")
    assert lacking == []


def test_a_query_without_data_would_be_found(prometheus: Prometheus) -> None:
    dashboard = json.loads(PATHS[0].read_text())
    dashboard["panels"][0]["targets"][0]["expr"] = 'plumbline_edge_fps{instance="nobody"}'
    assert len(empty(dashboard, prometheus)) == 1


def test_dashboards_are_of_the_types_that_grafana_publishes() -> None:
    done = check_types([json.loads(path.read_text()) for path in PATHS])
    assert done.returncode == 0, done.stdout


def test_type_check_would_find_a_mistake() -> None:
    wrong = [json.loads(path.read_text()) for path in PATHS[:2]]
    wrong[0]["panels"][0]["options"]["colorMode"] = "rainbow"
    wrong[1]["panels"][0]["targets"][0]["exprr"] = "up"
    said = check_types(wrong).stdout
    assert "rainbow" in said
    assert "exprr" in said
