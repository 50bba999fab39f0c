"""`make retrain` with the real programs and a registry: one model passes, another is stopped by the gates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infra.dataset_lock import lock_of, lock_path
from infra.retrain import REFUSED
from tests.e2e.registry_process import serving_registry

pytestmark = pytest.mark.pipeline

MakeDataset = Callable[[Path, int], Path]
ROOT = Path(__file__).parents[2]
CONVERT = ("--calibration-samples=24", "--parity-samples=24", "--limit-p99-px=int8=64", "--limit-oks=int8=0")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A registry and what its operator has in the environment."""
    tokens = ["--tokens-file", tmp_path / "registry" / "tokens.json"]
    with serving_registry(tmp_path / "registry") as url:
        scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
        token = output_of("plumbline-registry", "token", *scopes, *tokens).split()[0]
        environment = {**os.environ, "PLUMBLINE_REGISTRY_TOKEN": token}
        output_of("plumbline-registry", "init", "--url", url, "--keys", tmp_path / "keys", environment=environment)
        yield url, environment


def retrain(data: Path, out: Path, version: str, url: str, environment: dict[str, str], *more: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "infra.retrain", "--data", str(data), "--recipe", "tiny", "--version", version]
    command += ["--out", str(out), "--registry", url, "--keys", str(out.parent / "keys"), *more]
    labels = data.parent / "person_keypoints.json"
    pictures = ["--golden-images", str(data.parent / "images"), "--calibration-images", str(data.parent / "images")]
    command += ["--golden", str(labels), "--", *CONVERT, "--calibration", str(labels), *pictures]
    out_and_err = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, **out_and_err)  # type: ignore[call-overload]
    print(done.stdout[-3000:])
    return done.returncode, done.stdout


def test_a_model_reaches_canary_and_one_that_proves_nothing_is_stopped(
    make_dataset: MakeDataset, tmp_path: Path, registry: tuple[str, dict[str, str]]
) -> None:
    url, environment = registry
    data = make_dataset(tmp_path / "data", 48)
    lock_path(data).write_text(json.dumps(lock_of(data, data.parent)))
    code, _ = retrain(data, tmp_path / "good", "0.2.1", url, environment)
    assert code == 0
    assert "Published, in dev and canary." in (tmp_path / "good" / "summary.md").read_text()

    # The same run whose bundle was sealed without measuring its AP: the gates ask for what would show that it is good.
    shutil.copytree(tmp_path / "good", tmp_path / "unproven")
    shutil.rmtree(tmp_path / "unproven" / "bundles")
    labels, images = data.parent / "person_keypoints.json", data.parent / "images"
    convert = ["plumbline-convert", tmp_path / "unproven/model.onnx", "--version", "0.2.2", "--precision", "int8"]
    convert += ["--out", tmp_path / "unproven/bundles", *CONVERT, "--calibration", labels, "--golden", labels]
    output_of(*convert, "--calibration-images", images, "--golden-images", images)
    output_of("plumbline-seal", tmp_path / "unproven/bundles/int8")
    code, _ = retrain(data, tmp_path / "unproven", "0.2.2", url, environment)
    assert code == REFUSED
    assert "Stopped by the gates, in dev." in (tmp_path / "unproven" / "summary.md").read_text()

    lock_path(data).write_text(lock_path(data).read_text().replace('"images": 48', '"images": 49'))
    code, printed = retrain(data, tmp_path / "other", "0.2.3", url, environment)
    assert code == 1
    assert "the data are not those that the repository knows" in printed
    assert not (tmp_path / "other" / "run").exists()


def output_of(name: object, *arguments: object, environment: dict[str, str] | None = None) -> str:
    """What one of our programs prints, which must end well."""
    command = [str(Path(sys.executable).parent / str(name)), *map(str, arguments)]
    return subprocess.check_output(command, env=environment, text=True)
