"""Writes requirements/edge-py<version>-aarch64.txt: the edge's lock with the digest of each wheel that a Pi installs.

`python requirements/hash_aarch64.py` downloads those wheels; with `--check` it downloads them by the digests that are
written and fails on a difference. A Pi's pip then takes no other file than these (--require-hashes).
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
VERSIONS = ("310", "312")
"""Python of Ubuntu 22.04 and 24.04."""
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


def download(lock: Path, version: str, into: Path, *options: str) -> None:
    """Fetch a Pi's wheels for what a lock names, wherever this runs."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *options]
    command += ["--only-binary=:all:", "--python-version", version, *platforms, "-r", str(lock), "-d", str(into)]
    subprocess.run(command, check=True)


def hashed(lock: Path, wheels: Path) -> str:
    """The lock's lines, each with the digest of its wheel."""
    digests = {}
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        digests[name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if line]
    return "".join(f"{line} --hash=sha256:{digests[line.split('==')[0].lower().replace('.', '-')]}\n" for line in lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a wheel has another digest")
    check = parser.parse_args().check
    for version in VERSIONS:
        lock, written = FOLDER / f"edge-py{version}.txt", FOLDER / f"edge-py{version}-aarch64.txt"
        with tempfile.TemporaryDirectory() as folder:
            if check:
                download(written, version, Path(folder), "--require-hashes")
                pins = {line.split(" ")[0] for line in written.read_text(encoding="utf-8").splitlines()}
                if pins != set(lock.read_text(encoding="utf-8").split()):
                    sys.exit(f"error: {written.name} names other versions than {lock.name}; run without --check")
            else:
                download(lock, version, Path(folder))
                written.write_text(hashed(lock, Path(folder)), encoding="utf-8")
            print(f"{written.name}: {len(list(Path(folder).glob('*.whl')))} wheels")


if __name__ == "__main__":
    main()
