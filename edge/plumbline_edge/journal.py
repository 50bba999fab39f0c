"""What the updater remembers between its runs: which bundles failed here, which one is on trial, how updates went."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from plumbline_contract.errors import PlumblineError
from plumbline_edge.state import sync_folder

MAX_REMEMBERED: Final = 20
FILE: Final = "updates.json"


class FailedBundle(BaseModel):
    """A bundle that this device must not try again by itself."""

    model_config = ConfigDict(frozen=True)

    manifest_sha256: str
    version: str
    reason: str
    message: str


class Journal(BaseModel):
    """The whole memory; a damaged file counts as an empty one, since a device must always be able to update."""

    model_config = ConfigDict(frozen=True)

    failed: tuple[FailedBundle, ...] = ()
    on_trial: str | None = None
    """Digest of the bundle whose health was not yet seen to the end."""
    unwell_before: str | None = None
    """What was wrong with the service already when that trial began."""
    attempts: int = 0
    failures: dict[str, int] = {}
    """How often updates ended for each reason."""
    last_reason: str = "none"
    first_attempt_at: AwareDatetime | None = None
    last_attempt_at: AwareDatetime | None = None
    last_success_at: AwareDatetime | None = None

    def failure_of(self, manifest_sha256: str) -> FailedBundle | None:
        """What went wrong with this bundle here, if something did."""
        return next((failed for failed in self.failed if failed.manifest_sha256 == manifest_sha256), None)

    def with_failed(self, failed: FailedBundle) -> Journal:
        """Also remembers this bundle as failed, and ends its trial."""
        others = self._failed_but(failed.manifest_sha256)
        return self.without_trial().model_copy(update={"failed": (*others, failed)[-MAX_REMEMBERED:]})

    def with_trial(self, manifest_sha256: str, unwell_before: str | None) -> Journal:
        """Begins the trial of this bundle."""
        return self.model_copy(update={"on_trial": manifest_sha256, "unwell_before": unwell_before})

    def without_trial(self) -> Journal:
        """Ends the trial, whatever came of it."""
        return self.model_copy(update={"on_trial": None, "unwell_before": None})

    def with_proven(self, manifest_sha256: str) -> Journal:
        """Ends this bundle's trial, and no longer remembers that it failed once."""
        return self.without_trial().model_copy(update={"failed": self._failed_but(manifest_sha256)})

    def _failed_but(self, manifest_sha256: str) -> tuple[FailedBundle, ...]:
        return tuple(failed for failed in self.failed if failed.manifest_sha256 != manifest_sha256)

    def with_outcome(self, reason: str) -> Journal:
        """Counts an attempt that ended for this reason; `ok` is a success."""
        now = datetime.now(timezone.utc)
        counts = self.failures if reason == "ok" else {**self.failures, reason: self.failures.get(reason, 0) + 1}
        return self.model_copy(
            update={
                "attempts": self.attempts + 1,
                "failures": counts,
                "last_reason": reason,
                "first_attempt_at": self.first_attempt_at or now,
                "last_attempt_at": now,
                "last_success_at": now if reason == "ok" else self.last_success_at,
            }
        )


def read_journal(folder: Path) -> Journal:
    """The journal of a state folder. Raises OSError other than that there is none."""
    try:
        return Journal.model_validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Journal()


def write_journal(folder: Path, journal: Journal) -> None:
    """Replace the journal in one step. Raises OSError."""
    temporary = folder / f".{FILE}.new"
    with temporary.open("wb") as file:
        file.write(journal.model_dump_json(indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
    sync_folder(folder)


def reason_of(error: PlumblineError) -> str:
    """A short stable word for metrics: the error's own, or its class in snake case."""
    own = getattr(error, "reason", None)
    return own if isinstance(own, str) else re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
