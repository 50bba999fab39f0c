#!/usr/bin/env python3
"""Packs what a machine installs a release from into two files, since one file travels faster than thirty.

`release.tar` holds the wheels of ours with their SHA256SUMS; `dependencies.tar`, which a machine with these packages is
not sent, the locks and a wheelhouse's wheels, which may be for several Pythons and machines. With a wheelhouse each
line of a lock is given the digests of its wheels, so that pip takes no other bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


class NothingToPack(Exception):
    """A folder does not hold what it should."""


def distribution_of(wheel: Path) -> tuple[str, str]:
    """Normalised name (PEP 503) and version of a wheel, from its file name (PEP 427)."""
    name, version = wheel.name.split("-")[:2]
    return _normalised(name), version


def with_digests(lock: str, wheels: list[Path]) -> str:
    """The lock with `--hash=sha256:…` of every wheel that fits a line."""
    digests: dict[tuple[str, str], list[str]] = {}
    for wheel in wheels:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        digests.setdefault(distribution_of(wheel), []).append(f"--hash=sha256:{digest}")
    lines = []
    for line in lock.splitlines():
        found = _PINNED.match(line)
        hashes = digests.get((_normalised(found[1]), found[2]), []) if found else []
        lines.append(" ".join([line, *hashes]))
    return "\n".join(lines) + "\n"


def pack(wheels: Path, locks: Path, part: str, wheelhouse: Path | None) -> None:
    """Write both into the wheels' folder; what was made of these very files stays. Raises NothingToPack, OSError."""
    ours = _files(wheels, "plumbline_*.whl", "build them with infra/build-wheels.sh")
    lock_files = _files(locks, f"{part}-py*.txt", "make the locks with `make lock`, or point locks_dir to them")
    others = [] if wheelhouse is None else _files(wheelhouse, "*.whl", "infra/README.md says how to fill a wheelhouse")

    def packed_lock(path: Path) -> bytes:
        lock = path.read_text(encoding="utf-8")
        return (with_digests(lock, others) if others else lock).encode()

    _write(wheels / "release.tar", [*ours, wheels / "SHA256SUMS"])
    _write(wheels / "dependencies.tar", [*others, *lock_files], dict.fromkeys(lock_files, packed_lock))


def _write(out: Path, sources: list[Path], content_of: dict[Path, Callable[[Path], bytes]] | None = None) -> None:
    """A tar of these files, whose content is as it is where `content_of` has no other."""
    made_of = "".join(
        f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in [Path(__file__), *sources]
    )
    note = out.with_name(out.name + ".made-of")
    if out.exists() and note.exists() and note.read_text() == made_of:
        return
    note.unlink(missing_ok=True)
    part_file = out.with_name(out.name + ".part")
    with tarfile.open(part_file, "w") as archive:
        for path in sources:
            _add(archive, path.name, (content_of or {}).get(path, Path.read_bytes)(path))
    part_file.replace(out)
    note.write_text(made_of)


def _files(folder: Path, pattern: str, remedy: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise NothingToPack(f"{str(folder)!r} holds no {pattern}; {remedy}")
    return found


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Under its bare name, with nothing of this machine's users or times in it."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("locks", type=Path)
    parser.add_argument("part", help="edge or registry: whose locks")
    parser.add_argument("--wheelhouse", type=Path)
    arguments = parser.parse_args()
    try:
        pack(arguments.wheels, arguments.locks, arguments.part, arguments.wheelhouse)
    except (NothingToPack, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
