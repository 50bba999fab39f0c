"""A registry as a process of its own, on SQLite and a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving_registry(state: Path) -> Iterator[str]:
    """A registry that keeps everything in this folder, its tokens in tokens.json, on a free port; gives its URL."""
    command = [str(Path(sys.executable).parent / "plumbline-registry"), "serve", "--port", "0"]
    command += ["--database-url", f"sqlite:///{state / 'registry.sqlite3'}", "--blob-dir", str(state / "blobs")]
    command += ["--tokens-file", str(state / "tokens.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("registry on http://"), line
            yield line.removeprefix("registry on ").split()[0]
        finally:
            process.terminate()
