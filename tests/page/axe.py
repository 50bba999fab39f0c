"""axe-core, fetched once into the cache: a wheel that carries it, so that pip is all it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

WHEEL = "axe-playwright-python==0.1.8"
"""Carries axe-core 4.12.1."""


def axe_source() -> str:
    """The text of axe.min.js."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plumbline" / "axe"
    kept = cache / f"{WHEEL}.js"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), WHEEL]
        subprocess.run(fetch, check=True)
        (wheel,) = cache.glob("axe_playwright_python-0.1.8-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            partial = kept.with_suffix(".partial")
            partial.write_bytes(archive.read("axe_playwright_python/axe.min.js"))
            partial.replace(kept)
    return kept.read_text(encoding="utf-8")
