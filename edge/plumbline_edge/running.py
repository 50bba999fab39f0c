"""The bundle that runs, and its change for another one while frames flow."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from plumbline_contract.errors import PlumblineError
from plumbline_edge.bench import quickest_threads
from plumbline_edge.bundle import Bundle, open_bundle
from plumbline_edge.errors import BundleUnusable
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.logs import event, warn
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.runtime import PoseModel
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.state import StateFolder


class ActiveFolder(NamedTuple):
    """The folder that is active; another one of the same bundle, brought again, differs."""

    manifest_sha256: str
    inode: int
    changed_ns: int


class ActiveWatch:
    """Says once when another folder becomes active in a state folder; of no state folder, never."""

    def __init__(self, state: Path | None) -> None:
        self._state = state
        self._looked_at = self._look()

    def is_another(self, running_sha256: str | None) -> bool:
        """Whether a folder that was not looked at before is active now, of another bundle than the running one."""
        active = self._look()
        if active == self._looked_at:
            return False
        self._looked_at = active
        return active is not None and active.manifest_sha256 != running_sha256

    def _look(self) -> ActiveFolder | None:
        if self._state is None:
            return None
        folder = StateFolder(self._state)
        try:
            active = folder.active_sha256()
        except BundleUnusable:  # opening it says what is wrong
            return None
        if active is None:
            return None
        try:
            found = folder.active.stat()
        except OSError:  # opening it says what is wrong
            return ActiveFolder(active, 0, 0)
        return ActiveFolder(active, found.st_ino, found.st_mtime_ns)


class RunningBundle:
    """Holds what runs; `follow` changes over to the state folder's active bundle once that is another one."""

    def __init__(self, settings: EdgeSettings, metrics: EdgeMetrics) -> None:
        """Load the bundle that is chosen now. Raises BundleUnusable, InvalidManifest or DigestMismatch."""
        self._settings = settings
        self._metrics = metrics
        self._active = ActiveWatch(None if settings.bundle is not None else settings.state)
        self.bundle = chosen_bundle(settings)
        self.estimator = PoseEstimator(self._load(self.bundle), metrics.observe_stage, settings.tracking)
        metrics.describe_bundle(self.bundle.manifest, self.bundle.manifest_sha256)

    def follow(self) -> bool:
        """Change over if an update activated another bundle, and say so; True if it did.

        The new model is loaded in this thread while the old one works on, and takes over between two frames. One that
        cannot be loaded is refused once each time that it is activated or brought again, and the old one stays.
        """
        if not self._active.is_another(self.bundle.manifest_sha256):
            return False
        try:
            bundle = chosen_bundle(self._settings)
            model = self._load(bundle)
        except PlumblineError as error:
            warn(f"the active bundle cannot be used, the one before stays: {error}")
            return False
        self.estimator.replace_model(model)
        self.bundle = bundle
        self._metrics.describe_bundle(bundle.manifest, bundle.manifest_sha256)
        event(f"changed over to {bundle.manifest.name} {bundle.manifest.version} {bundle.manifest.precision}")
        return True

    def _load(self, bundle: Bundle) -> PoseModel:
        threads = self._settings.threads or quickest_threads(bundle, self._settings.inference_threads)
        self._metrics.device.threads.set(threads)
        return bundle.load_model(threads)


def chosen_bundle(settings: EdgeSettings) -> Bundle:
    """The bundle to run: the one given, or the active one of the state folder, verified."""
    folder = settings.bundle if settings.bundle is not None else StateFolder(settings.state).active_bundle_folder()
    return open_bundle(folder)
