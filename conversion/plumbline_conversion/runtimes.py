"""Tries a TFLite file in another runtime, which lives in an environment of its own: a separate process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plumbline_contract.manifest import RuntimeCheck
from plumbline_conversion.errors import ConversionFailed

PROBE: Final = Path(__file__).parent / "probe.py"
TIMEOUT_SECONDS: Final = 600


@dataclass(frozen=True)
class Probed:
    """What the runtime made of the file, and what it gave for the inputs."""

    check: RuntimeCheck
    outputs: npt.NDArray[Any] | None


def check_runtime(python: Path | Sequence[str], tflite_path: Path, inputs_N: npt.NDArray[Any] | None = None) -> Probed:
    """Load the file, and run it on inputs (N, 1, H, W, 3), with the runtime that `python`'s environment has.

    Raises ConversionFailed when there is no such Python or runtime; a file that the runtime refuses is no error here.
    """
    command = [str(python)] if isinstance(python, Path) else list(python)
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder) / "inputs.npy", Path(folder) / "outputs.npy"
        if inputs_N is not None:
            np.save(given, inputs_N)
        files = [str(given), str(got)] if inputs_N is not None else ["-", "-"]
        done = _run([*command, str(PROBE), str(tflite_path), *files])
        if done.returncode == 0:
            facts = json.loads(done.stdout.splitlines()[-1])
            check = RuntimeCheck(runtime=facts["runtime"], loads=True, xnnpack_partitions=facts["partitions"])
            return Probed(check, np.load(got) if inputs_N is not None else None)
    reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    if "ValueError" not in reason and "RuntimeError" not in reason:
        raise ConversionFailed(
            f"{' '.join(command)}: cannot try {tflite_path.name} ({reason}); install a runtime there"
        )
    return Probed(RuntimeCheck(runtime=f"{' '.join(command)}", loads=False, xnnpack_partitions=0), None)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionFailed(f"{command[0]}: cannot be run ({error}); name the Python of an environment") from error
