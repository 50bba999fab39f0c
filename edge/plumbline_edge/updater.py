"""Brings this device to the bundle that a channel's key signed for, or leaves everything as it was."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plumbline_contract.errors import PlumblineError
from plumbline_contract.manifest import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    AnyManifest,
    parse_form_manifest,
    parse_manifest,
)
from plumbline_edge.bundle import (
    Bundle,
    FormBundle,
    GoldenResult,
    open_bundle,
    open_form_bundle,
    replay_form_golden,
    replay_golden,
    sha256_of,
)
from plumbline_edge.errors import (
    BundleUnusable,
    GoldenMismatch,
    KnownBad,
    NotEnoughSpace,
    RegistryRefused,
    StateUnwritable,
    TooSlowHere,
    UnhealthyBundle,
)
from plumbline_edge.health import HealthWatch
from plumbline_edge.journal import FailedBundle, Journal, read_journal, reason_of, write_journal
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.state import StateFolder
from plumbline_edge.trust import WantedBundle, clock_is_synchronised, wanted_bundle

Say = Callable[[str], None]
SPARE_BYTES: Final = 16 << 20
"""Kept free beside a download: the journal, the metadata and the rest of the system need room too."""


@dataclass(frozen=True)
class UpdateResult:
    """What an update did."""

    version: str
    manifest_sha256: str
    changed: bool
    golden: GoldenResult | None
    """Of a pose model whose golden samples were replayed."""


@dataclass(frozen=True)
class Update:
    """What to follow, and how careful to be."""

    state: StateFolder
    registry: RegistryClient
    root_file: Path
    name: str
    channel: str
    threads: int = 1
    health: HealthWatch | None = None
    """None: nobody watches here, such as on a first installation, or since a rollout's gate does."""
    retry_failed: bool = False
    synchronised: Callable[[], bool] = clock_is_synchronised

    def run(self, say: Say) -> UpdateResult:
        """Activate the channel's bundle once it is proven here, and stand by it while its health is watched.

        Raises a PlumblineError when any step fails; active is then the bundle from before.
        """
        try:
            with self.state.locked():
                return self._counted(say)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StateUnwritable:
        return StateUnwritable(
            f"state folder {str(self.state.folder)!r}: {error.strerror or error}; free space or choose another with"
            " --state"
        )

    def _counted(self, say: Say) -> UpdateResult:
        try:
            result = self._run(say)
        except (PlumblineError, OSError) as error:
            told = error if isinstance(error, PlumblineError) else self._unwritable(error)
            with contextlib.suppress(OSError):  # the error itself matters more than its count
                self._remember(self._journal().with_outcome(reason_of(told)))
            if told is error:
                raise
            raise told from error
        self._remember(self._journal().with_outcome("ok"))
        return result

    def _run(self, say: Say) -> UpdateResult:
        self._finish_trial(say)
        cache = self.state.folder / "trust"
        wanted = wanted_bundle(self.registry, self.root_file, cache, self.name, self.channel, self.synchronised, say)
        self._refuse_known_bad(wanted)
        kept = self.state.bundle_folder(wanted.manifest_sha256)
        if not self._is_intact(kept, wanted.manifest_sha256):
            golden = self._fetch(wanted, say)
        elif self.state.active_sha256() == wanted.manifest_sha256 and not self._failed_before(wanted):
            self.state.clear_incoming(None)
            return UpdateResult(wanted.version, wanted.manifest_sha256, changed=False, golden=None)
        else:
            golden = self._prove(kept, wanted)
        self._activate(wanted, say)
        return UpdateResult(wanted.version, wanted.manifest_sha256, changed=True, golden=golden)

    def _finish_trial(self, say: Say) -> None:
        """A run that ended while it watched: watch to the end now, or nobody ever would."""
        on_trial = self._journal().on_trial
        if on_trial is None:
            return
        if on_trial == self.state.active_sha256() and self.health is not None:
            try:
                version = self._open(self.state.active_bundle_folder()).manifest.version
            except PlumblineError as error:
                say(f"what an earlier update activated is damaged and is brought again: {error}")
            else:
                say(f"watching the bundle that an earlier update activated ({on_trial[:12]})")
                self._watch(on_trial, version)
                self._remember(self._journal().with_proven(on_trial))
                return
        self._remember(self._journal().without_trial())

    def _failed_before(self, wanted: WantedBundle) -> FailedBundle | None:
        return self._journal().failure_of(wanted.manifest_sha256)

    def _refuse_known_bad(self, wanted: WantedBundle) -> None:
        failed = self._failed_before(wanted)
        if failed is not None and not self.retry_failed:
            raise KnownBad(
                f"{wanted.name} {wanted.version} failed on this device before: {failed.message}; promote another"
                " version, or try it again with --retry-failed"
            )

    def _fetch(self, wanted: WantedBundle, say: Say) -> GoldenResult | None:
        """Download beside the live bundle; keep it once its digests are right and it runs here as it should."""
        say(f"fetching {wanted.name} {wanted.version} from {self.registry.url}")
        self.state.clear_incoming(wanted.manifest_sha256)
        folder = self.state.incoming_folder(wanted.manifest_sha256)
        self._bring(wanted.manifest_sha256, wanted.manifest_bytes, folder / MANIFEST_FILE)
        manifest = self._parse((folder / MANIFEST_FILE).read_bytes())
        _require_wanted(manifest, wanted)
        self._require_space(manifest, folder)
        for name in BUNDLE_FILES:
            self._bring(manifest.files[name].sha256, manifest.files[name].size_bytes, folder / name)
        try:
            golden = self._prove(folder, wanted)
        except (GoldenMismatch, TooSlowHere, BundleUnusable):
            self.state.clear_incoming(None)
            raise
        self.state.keep(folder, wanted.manifest_sha256)
        return golden

    def _bring(self, sha256: str, size_bytes: int, target: Path) -> None:
        """Download a file that is not here yet; one that an earlier update left damaged is brought again."""
        if not target.is_file() or sha256_of(target) != sha256:
            target.unlink(missing_ok=True)
            self.registry.download(sha256, size_bytes, target)

    def _require_space(self, manifest: AnyManifest, folder: Path) -> None:
        here = sum(path.stat().st_size for path in folder.iterdir())
        needed = sum(file.size_bytes for file in manifest.files.values()) - here + SPARE_BYTES
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise NotEnoughSpace(
                f"state folder {str(self.state.folder)!r} has {free} bytes free, {manifest.name} {manifest.version}"
                f" needs {needed}; free some space"
            )

    def _prove(self, folder: Path, wanted: WantedBundle) -> GoldenResult | None:
        """Replay the golden samples; what fails here is remembered. Raises GoldenMismatch, TooSlowHere."""
        self._open(folder)
        try:
            return self._replay(folder)
        except (GoldenMismatch, TooSlowHere, BundleUnusable) as error:
            # A disk that could not be read once says nothing of the bundle.
            if not isinstance(error.__cause__, OSError):
                self._fail(wanted.manifest_sha256, wanted.version, error)
            raise

    def _activate(self, wanted: WantedBundle, say: Say) -> None:
        if self.health is not None:
            before = self.state.active_sha256()
            unwell_before = None if before is None else self.health.problem(before)
            self._remember(self._journal().with_trial(wanted.manifest_sha256, unwell_before))
        self.state.activate(wanted.manifest_sha256)
        if self.health is not None:
            say(f"watching {self.health.url} with {wanted.name} {wanted.version}")
            self._watch(wanted.manifest_sha256, wanted.version)
        self._remember(self._journal().with_proven(wanted.manifest_sha256))
        self.state.prune()

    def _watch(self, manifest_sha256: str, version: str) -> None:
        """Watch the service; go back to the bundle before if it is not well. Raises UnhealthyBundle."""
        if self.health is None:
            return
        try:
            self.health.watch(manifest_sha256)
        except UnhealthyBundle as error:
            unwell_before = self._journal().unwell_before
            if unwell_before is None:
                # The memory first: an update that dies after this must not activate the same bundle again.
                self._fail(manifest_sha256, version, error)
            back = self.state.roll_back()
            told = f"{error}; {f'went back to {back[:12]}' if back else 'there is none to go back to'}"
            if unwell_before is not None:
                self._remember(self._journal().without_trial())
                told += (
                    f"; this says nothing of the bundle, as the service was unwell before too: it {unwell_before};"
                    " put that right, the next update tries again"
                )
            raise UnhealthyBundle(told) from error

    def _fail(self, manifest_sha256: str, version: str, error: PlumblineError) -> None:
        failed = FailedBundle(
            manifest_sha256=manifest_sha256, version=version, reason=reason_of(error), message=str(error)
        )
        self._remember(self._journal().with_failed(failed))

    def _journal(self) -> Journal:
        return read_journal(self.state.folder)

    def _remember(self, journal: Journal) -> None:
        write_journal(self.state.folder, journal)

    def _is_intact(self, folder: Path, manifest_sha256: str) -> bool:
        try:
            return self._open(folder).manifest_sha256 == manifest_sha256
        except PlumblineError:
            return False

    def _parse(self, text: bytes) -> AnyManifest:
        return parse_manifest(text)

    def _open(self, folder: Path) -> Bundle | FormBundle:
        return open_bundle(folder)

    def _replay(self, folder: Path) -> GoldenResult | None:
        bundle = open_bundle(folder)
        return replay_golden(bundle, bundle.load_model(self.threads))


class JudgeUpdate(Update):
    """The same for the judge of form, a bundle of another kind in a state folder of its own."""

    def _parse(self, text: bytes) -> AnyManifest:
        return parse_form_manifest(text)

    def _open(self, folder: Path) -> Bundle | FormBundle:
        return open_form_bundle(folder)

    def _replay(self, folder: Path) -> GoldenResult | None:
        bundle = open_form_bundle(folder)
        replay_form_golden(bundle, bundle.load_model())
        return None


def _require_wanted(manifest: AnyManifest, wanted: WantedBundle) -> None:
    if (manifest.name, manifest.version) != (wanted.name, wanted.version):
        raise RegistryRefused(
            f"asked for {wanted.name} {wanted.version}, the manifest is that of {manifest.name} {manifest.version};"
            " nothing was changed, report it to the registry's operator"
        )
    missing = [file for file in BUNDLE_FILES if file not in manifest.files]
    if missing:
        raise RegistryRefused(
            f"{wanted.name} {wanted.version} is a draft without digests of {missing}; publish a sealed bundle"
        )
