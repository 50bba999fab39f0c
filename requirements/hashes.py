"""Writes the locks by which pip takes no other file than it did here (--require-hashes).

`edge-py<version>-aarch64.txt` is what a Pi installs, `<part>-py311-image.txt` what that part's image does on either
machine. `python requirements/hashes.py` downloads those wheels; with `--check` it downloads a Pi's by the digests that
are written, and fails on a difference (an image's build does that for its own).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")


class Locked(NamedTuple):
    """One lock: the part, its Python, the machines whose wheels it takes, and how its name ends."""

    part: str
    version: str
    machines: tuple[str, ...]
    name: str

    @property
    def plain(self) -> Path:
        """The lock without digests."""
        return FOLDER / f"{self.part}-py{self.version}.txt"

    @property
    def hashed(self) -> Path:
        """The one with them."""
        return FOLDER / f"{self.part}-py{self.version}-{self.name}.txt"


PIS = (Locked("edge", "310", ("aarch64",), "aarch64"), Locked("edge", "312", ("aarch64",), "aarch64"))
"""Python of Ubuntu 22.04 and 24.04."""
IMAGES = tuple(
    Locked(part, "311", machines, "image")
    for part, machines in (
        ("edge", ("x86_64", "aarch64")),
        ("registry", ("x86_64", "aarch64")),
        # Not every wheel of it is there for a Pi's kind of machine.
        ("conversion", ("x86_64",)),
    )
)


def download(lock: Path, version: str, machine: str, into: Path, *options: str) -> None:
    """Fetch a machine's wheels for what a lock names, wherever this runs."""
    platforms = [word for name in GLIBC for word in ("--platform", f"{name}_{machine}")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *options]
    command += ["--only-binary=:all:", "--python-version", version, *platforms, "-r", str(lock), "-d", str(into)]
    # A folder of wheels beside the index may hold another build of the same version.
    subprocess.run(command, env={**os.environ, "PIP_FIND_LINKS": ""}, check=True)


def written(lock: Path, wheels: Path) -> str:
    """The lock's lines, each with the digests of its wheels."""
    digests: dict[str, list[str]] = defaultdict(list)
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        digests[name].append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if line]
    return "".join(
        " ".join([line, *(f"--hash=sha256:{digest}" for digest in digests[_name(line)])]) + "\n" for line in lines
    )


def _name(line: str) -> str:
    return line.split("==")[0].lower().replace(".", "-").replace("_", "-")


def pins(lock: Path) -> set[str]:
    """What a lock names, without digests."""
    return {line.partition(" --hash")[0] for line in lock.read_text(encoding="utf-8").splitlines() if line}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a wheel has another digest")
    parser.add_argument("--part", help="of this part alone")
    arguments = parser.parse_args()
    check = arguments.check
    for lock in PIS if check else (*PIS, *IMAGES):
        if arguments.part not in (None, lock.part):
            continue
        with tempfile.TemporaryDirectory() as folder:
            for machine in lock.machines:
                if check:
                    download(lock.hashed, lock.version, machine, Path(folder), "--require-hashes")
                else:
                    download(lock.plain, lock.version, machine, Path(folder))
            if not check:
                lock.hashed.write_text(written(lock.plain, Path(folder)), encoding="utf-8")
            print(f"{lock.hashed.name}: {len(list(Path(folder).glob('*.whl')))} wheels")
    if wrong := [lock.hashed.name for lock in (*PIS, *IMAGES) if pins(lock.hashed) != pins(lock.plain)]:
        sys.exit(f"error: {', '.join(wrong)}: other versions than the plain lock names; run without --check")


if __name__ == "__main__":
    main()
