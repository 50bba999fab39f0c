"""What the commands of conversion share: one clear line and an exit code for everything that can go wrong."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from plumbline_contract.errors import PlumblineError

FAILED = 2


def exit_code(
    run: Callable[[], None], mendable: tuple[type[Exception], ...] = (), stopped: str = "stopped: nothing was written"
) -> int:
    """Run it: 0, 2 for what a user can mend (`mendable` besides our own errors), 130 when it is interrupted."""
    expected: tuple[type[Exception], ...] = (PlumblineError, *mendable)
    try:
        with _terminable():
            run()
    except OSError as error:
        return _say(f"error: {error.filename}: {error.strerror}; free some space or name another folder", FAILED)
    except expected as error:
        return _say(f"error: {error}", FAILED)
    except KeyboardInterrupt:
        return _say(stopped, 128 + signal.SIGINT)
    return 0


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the program as an exception does, so that temporary folders go away."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
