"""The edge service as a process of its own, for the benches that watch one from outside."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def edge_service(bundle: Path, source: str, *more: str, within: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    """`plumbline-edge run` on a free port; its address and process id. Raises SystemExit where it does not start.

    `within`: a command that the service is the arguments of and that becomes it, such as unshare.
    """
    command = [*within, sys.executable, "-m", "plumbline_edge", "run", "--bundle", str(bundle), "--source", source]
    process = subprocess.Popen([*command, "--port", "0", *more], stdout=subprocess.PIPE, text=True)
    out = process.stdout or sys.exit("error: no output to read the address from")
    found = re.match(r"page    (http://\S+)/$", out.readline().strip())
    if found is None:
        sys.exit("error: the service did not start; see above")
    # Its status lines must not fill the pipe.
    reader = threading.Thread(target=out.read, daemon=True)
    reader.start()
    try:
        yield found[1], process.pid
    finally:
        process.terminate()
        process.wait(20)
        reader.join(5)
        out.close()
