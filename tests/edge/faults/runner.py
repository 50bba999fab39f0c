"""A process that runs updates, each in a child of its own: imports cost once, and a kill ends only the child.

Reads one JSON request a line, answers one line: {"exit": code or -signal, "operations": path of the written-down ones}.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.edge.faults.operations import Disk

from plumbline_contract.errors import PlumblineError
from plumbline_edge.health import HealthWatch
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.state import StateFolder
from plumbline_edge.updater import Update


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(request))
        print(json.dumps({"exit": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}), flush=True)


def run(request: dict[str, Any]) -> int:
    """0: updated or nothing to do; 2: refused with a clear error; 3: an error that is none of ours."""
    folder = Path(request["folder"])
    os.environ["TMPDIR"] = str(folder / "tmp")
    with RegistryClient(request["url"], request["timeout"]) as registry:
        follow = Update(
            StateFolder(folder / "state"),
            registry,
            folder / "root.json",
            "dots",
            "stable",
            health=HealthWatch(request["health"], 1, 0),
            synchronised=lambda: True,
        )
        disk = Disk(str(folder), request["fault"], request["at"])
        disk.install()
        try:
            follow.run(lambda line: None)
        except PlumblineError as error:
            sys.stderr.write(f"{request['fault']} at {request['at']}: {error}\n")
            return 2
        except BaseException:
            traceback.print_exc()
            return 3
        finally:
            recorded, disk.root = list(disk.done), "nowhere"
            if request["record"]:
                Path(request["record"]).write_bytes(pickle.dumps(recorded))
    return 0


if __name__ == "__main__":
    main()
