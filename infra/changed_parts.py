"""Which parts a change can break: `python -m infra.changed_parts BASE` prints them as a JSON list for CI's matrix.

By `git diff` from the merge base with BASE. Without a base that git knows (a new branch, a forced push), and for what
belongs to no part or to all of them, it is every part.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
NEEDED_BY: Final = {
    "contract": ("contract", "training", "conversion", "registry", "edge", "infra"),
    "training": ("training", "conversion", "infra"),
    "conversion": ("conversion",),
    "conversion/Dockerfile": ("infra",),
    "services/registry": ("registry", "infra"),
    "edge": ("registry", "edge", "infra"),
    "infra": ("infra",),
    "infra/lab": ("conversion",),
    "infra/registry_front.py": ("registry",),
    "docker-compose": ("infra",),
    "models": ("contract", "training", "conversion", "registry", "edge", "infra"),
    "samples": ("training", "conversion", "edge", "infra"),
    "docs": ("training", "edge", "infra"),
    "tests/contract": ("contract",),
    "tests/training": ("training",),
    "tests/conversion": ("conversion",),
    "tests/registry": ("registry",),
    "tests/edge": ("edge",),
    "tests/edge/data": ("conversion", "infra"),
    "tests/infra": ("infra",),
}
"""Path -> the parts whose tests can tell; for a path below two of them, those of both.

Anything else, such as requirements/ or the Makefile, concerns all.
"""
PARTS: Final = NEEDED_BY["contract"]


def parts_of(paths: Iterable[str]) -> list[str]:
    """The parts to test after these paths changed, in their order."""
    wanted: set[str] = set()
    for path in paths:
        owners = [owner for owner in NEEDED_BY if path == owner or path.startswith((f"{owner}/", f"{owner}."))]
        wanted.update(part for owner in owners for part in NEEDED_BY[owner])
        wanted.update(() if owners else PARTS)
    return [part for part in PARTS if part in wanted]


def changed_since(base: str) -> list[str] | None:
    """Paths that differ from the merge base; None where git does not know the base."""
    command = ["git", "diff", "--name-only", "--no-renames", f"{base}...HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if base and done.returncode == 0 else None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.changed_parts", description=__doc__)
    parser.add_argument("base", nargs="?", default="", help="commit or branch to compare with; none: every part")
    paths = changed_since(parser.parse_args().base)
    print(json.dumps(list(PARTS) if paths is None else parts_of(paths)))


if __name__ == "__main__":
    main()
