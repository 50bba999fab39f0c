"""`make retrain` with the real programs and a registry: a first model passes, a worse one is stopped and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infra.dataset_lock import lock_of, lock_path
from infra.retrain import REFUSED

pytestmark = pytest.mark.pipeline

MakeDataset = Callable[[Path, int], Path]
ROOT = Path(__file__).parents[2]
CONVERT = ("--calibration-samples=24", "--parity-samples=24", "--limit-p99-px=int8=64", "--limit-oks=int8=0")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A registry and what its operator has in the environment."""
    state, keys = tmp_path / "registry", tmp_path / "keys"
    program = str(Path(sys.executable).parent / "plumbline-registry")
    tokens = ["--tokens-file", str(state / "tokens.json")]
    command = [program, "serve", "--port", "0", "--database-url", f"sqlite:///{state / 'registry.sqlite3'}"]
    command += ["--blob-dir", str(state / "blobs"), *tokens]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().removeprefix("registry on ").split()[0]
            scopes = [f"--scope={scope}" for scope in ("admin", "publish", "promote", "sign")]
            token = subprocess.check_output([program, "token", *scopes, *tokens], text=True).split()[0]
            environment = {**os.environ, "PLUMBLINE_REGISTRY_TOKEN": token}
            init = [program, "init", "--url", url, "--keys", str(keys)]
            subprocess.run(init, env=environment, check=True, stdout=subprocess.DEVNULL)
            yield url, environment
        finally:
            process.terminate()


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


def test_a_good_model_reaches_canary_and_a_worse_one_is_stopped(
    make_dataset: MakeDataset, tmp_path: Path, registry: tuple[str, dict[str, str]]
) -> None:
    url, environment = registry
    data = make_dataset(tmp_path / "data", 64)
    lock_path(data).write_text(json.dumps(lock_of(data, data.parent)))

    code, _ = retrain(data, tmp_path / "good", "0.2.1", url, environment, "--stages", "64x64:12:1.5")
    assert code == 0
    assert "Published, in dev and canary." in (tmp_path / "good" / "summary.md").read_text()

    code, printed = retrain(data, tmp_path / "worse", "0.2.2", url, environment, "--stages", "64x64:1:1.5")
    assert code == REFUSED
    assert "Stopped by the gates, in dev." in (tmp_path / "worse" / "summary.md").read_text()
    assert "AP" in printed

    lock_path(data).write_text(lock_path(data).read_text().replace('"images": 64', '"images": 65'))
    code, printed = retrain(data, tmp_path / "other", "0.2.3", url, environment)
    assert code == 1
    assert "the data are not those that the repository knows" in printed
    assert not (tmp_path / "other" / "run").exists()
