"""The bundle that runs, and its change for another one while frames flow."""

from __future__ import annotations

from plumbline_contract.errors import PlumblineError
from plumbline_edge.bench import quickest_threads
from plumbline_edge.bundle import Bundle, open_bundle
from plumbline_edge.estimator import PoseEstimator
from plumbline_edge.logs import event, warn
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.runtime import PoseModel
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.state import StateFolder


class RunningBundle:
    """Holds what runs; `follow` changes over to the state folder's active bundle once that is another one."""

    def __init__(self, settings: EdgeSettings, metrics: EdgeMetrics) -> None:
        """Load the bundle that is chosen now. Raises BundleUnusable, InvalidManifest or DigestMismatch."""
        self._settings = settings
        self._metrics = metrics
        self._refused: str | None = None
        self.bundle = chosen_bundle(settings)
        self.estimator = PoseEstimator(self._load(self.bundle), metrics.observe_stage, settings.tracking)
        metrics.describe_bundle(self.bundle.manifest, self.bundle.manifest_sha256)

    def follow(self) -> bool:
        """Change over if an update activated another bundle, and say so; True if it did.

        The new model is loaded in this thread while the old one works on, and takes over between two frames. One that
        cannot be loaded is refused once, and the old one stays.
        """
        active = None if self._settings.bundle is not None else StateFolder(self._settings.state).active_sha256()
        if active is None or active in (self.bundle.manifest_sha256, self._refused):
            return False
        try:
            bundle = chosen_bundle(self._settings)
            model = self._load(bundle)
        except PlumblineError as error:
            self._refused = active
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
