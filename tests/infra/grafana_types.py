"""Dashboards held to the types that Grafana publishes: @grafana/schema of the version in docker-compose.yml, by tsc."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.infra.machine import CACHE, ROOT, program

TYPESCRIPT = "typescript@5.9.3"


def check_types(dashboards: Sequence[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What tsc says of them; exit code 0 when all are well typed. Fetches the types once, by npm."""
    modules = _modules()
    with tempfile.TemporaryDirectory(dir=modules.parent) as folder:
        shutil.copy(Path(__file__).with_name("page.ts"), folder)
        for number, dashboard in enumerate(dashboards):
            text = f'import type {{ Page }} from "./page";\nconst page: Page = {json.dumps(dashboard, indent=1)};\n'
            Path(folder, f"dashboard{number}.ts").write_text(text)
        strict = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
        files = [str(path) for path in sorted(Path(folder).iterdir())]
        command = [str(modules / ".bin/tsc"), *strict, *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _modules() -> Path:
    found = re.search(r"grafana/grafana:([0-9.]+)", (ROOT / "docker-compose.yml").read_text())
    assert found, "docker-compose.yml names no version of Grafana"
    wanted = [f"@grafana/schema@{found[1]}", TYPESCRIPT]
    folder = CACHE / "grafana-schema" / "-".join(item.rpartition("@")[2] for item in wanted)
    if not (folder / "node_modules/.bin/tsc").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        install = [program("npm"), "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
        subprocess.run(install, cwd=folder, check=True)
    return folder / "node_modules"
