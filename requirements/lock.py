"""Writes the locks: requirements/<part>-py<version>.txt, used as constraints by every installation.

`python requirements/lock.py [PART …] [--python 3.11 …]` resolves a part's dependencies, as its pyproject.toml and the
contract's name them, with pip-tools under that Python. Parts that share an environment (registry and edge in the demo,
all of them in development) are kept in step by resolving them under the constraint of the development lock.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import tomllib

ROOT = Path(__file__).parent.parent
PARTS = {
    "dev": ("3.11",),
    "training": ("3.11",),
    "conversion": ("3.11",),
    "registry": ("3.11", "3.12", "3.13"),
    "edge": ("3.10", "3.11", "3.12", "3.13"),
}
# Torch's CPU build is at hand for one Python only, and resolving its GPU build downloads gigabytes: these locks are
# resolved once and serve every Python; the wheels they name exist for all of them.
ONE_FOR_ALL = ("dev", "training", "conversion")
EXTRAS = {"dev": ("render", "tracking"), "training": ("tracking",), "registry": ("postgres", "s3")}
"""Extras that a part's lock covers too."""
FOLDERS = {"training": "training", "conversion": "conversion", "registry": "services/registry", "edge": "edge"}
PIP_TOOLS = "pip-tools==7.6.2"


def dependencies(part: str) -> list[str]:
    """What a part and the contract ask for, without our own packages; 'dev' is every part and the tools."""
    folders = ["contract", *(FOLDERS.values() if part == "dev" else [FOLDERS[part]])]
    wanted: list[str] = []
    for folder in folders:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        wanted += project["dependencies"]
        extras = project.get("optional-dependencies", {})
        wanted += [item for extra in EXTRAS.get(part, ()) for item in extras.get(extra, [])]
    if part == "dev":
        wanted += (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8").splitlines()
    return sorted({item for item in wanted if item and not item.startswith(("plumbline", "#"))})


def lock(part: str, version: str, python: str) -> None:
    """Resolve one part under one Python."""
    out = ROOT / "requirements" / f"{part}-py{version.replace('.', '')}.txt"
    shared = ROOT / "requirements" / f"dev-py{version.replace('.', '')}.txt"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{part}.in"
        lines = dependencies(part) + ([f"-c {shared}"] if part != "dev" and shared.exists() else [])
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = ["--quiet", "--strip-extras", "--no-header", "--no-annotate", "--allow-unsafe"]
        options += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options"]
        subprocess.run([python, "-m", "piptools", "compile", *options, "-o", str(out), str(source)], check=True)
    # A local version such as torch's +cpu names one build on one machine; the lock names the release.
    lines = out.read_text(encoding="utf-8").splitlines()
    pinned = [line.split("+")[0] for line in lines if line and not line.startswith("#")]
    out.write_text("\n".join(pinned) + "\n", encoding="utf-8")
    if part in ONE_FOR_ALL:
        for other in ("py312", "py313"):
            shutil.copy(out, out.with_name(f"{part}-{other}.txt"))
    print(f"{out.relative_to(ROOT)}: {len(pinned)} packages")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--python", nargs="+", help="versions to lock for, such as 3.11 (default: all of the part's)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part is called {sorted(unknown)}")
    versions = arguments.python or sorted({version for part in PARTS.values() for version in part})
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if missing := [version for version in versions if version != here and shutil.which(f"python{version}") is None]:
        parser.error(f"python{missing[0]} is not on the PATH; install it, or name others with --python")
    with tempfile.TemporaryDirectory() as folder:
        for version in versions:
            environment = Path(folder) / version
            if version == here:
                venv.create(environment, with_pip=True)
            else:
                subprocess.run([f"python{version}", "-m", "venv", str(environment)], check=True)
            python = str(environment / "bin" / "python")
            subprocess.run([python, "-m", "pip", "install", "--quiet", PIP_TOOLS], check=True)
            for part in arguments.parts or PARTS:
                if version in PARTS[part]:
                    lock(part, version, python)


if __name__ == "__main__":
    main()
