"""The adversaries of The Update Framework's specification, over a real repository: each refused, with its reason.

A registry here is wholly in the attacker's hands; what it lacks are the keys that a test does not use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from securesystemslib.signer import CryptoSigner
from tests.edge.bundles import copy_bundle
from tests.edge.http_fixtures import FakeRegistry, fake_registry
from tests.edge.repository import Repository

from plumbline_contract.errors import PlumblineError
from plumbline_edge.bundle import open_bundle
from plumbline_edge.journal import read_journal
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.state import StateFolder
from plumbline_edge.update_metrics import UpdateMetrics
from plumbline_edge.updater import Update


@dataclass(frozen=True)
class Attacked:
    """A device that runs 1.0.0, and the repository that stands between it and 1.1.0."""

    registry: FakeRegistry
    folder: Path

    @property
    def repository(self) -> Repository:
        return self.registry.repository

    @property
    def version(self) -> str:
        return open_bundle(StateFolder(self.folder / "state").active_bundle_folder()).manifest.version

    def give(self, version: str) -> str:
        return self.registry.give(copy_bundle(self.folder / version, version=version))

    def update(self) -> None:
        with RegistryClient(self.registry.url, 0.4) as client:
            root = self.folder / "root.json"
            state = StateFolder(self.folder / "state")
            Update(state, client, root, "dots", "stable", synchronised=lambda: True).run(lambda line: None)

    def require_refusal(self, reason: str, message: str) -> None:
        """The update is refused for this reason, in the error and in the count, and 1.0.0 runs on."""
        before = read_journal(self.folder / "state").failures.get(reason, 0)
        with pytest.raises(PlumblineError, match=message):
            self.update()
        journal = read_journal(self.folder / "state")
        assert (journal.last_reason, journal.failures.get(reason)) == (reason, before + 1)
        assert self.version == "1.0.0"

    def require_recovery(self, version: str = "1.1.0") -> None:
        """Once the attack is over, the device updates."""
        self.update()
        assert self.version == version


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    with fake_registry() as registry:
        victim = Attacked(registry, tmp_path)
        (tmp_path / "root.json").write_bytes(registry.repository.anchor)
        victim.give("1.0.0")
        victim.update()
        yield victim


def test_arbitrary_software_behind_a_right_name(attacked: Attacked) -> None:
    digest = attacked.give("1.1.0")
    name, content = attacked.registry.blobs[digest]
    attacked.registry.blobs[digest] = (name, content.replace(b"1.1.0", b"6.6.6"))
    attacked.require_refusal("digest_mismatch", "expected sha256")
    attacked.registry.blobs[digest] = (name, content)
    attacked.require_recovery()


def test_channel_signed_by_another_key(attacked: Attacked) -> None:
    attacked.repository.channel("stable", CryptoSigner.generate_ed25519())
    attacked.repository.publish()
    attacked.require_refusal("metadata_not_signed", "metadata not signed")
    attacked.give("1.1.0")
    attacked.require_recovery()


def test_key_of_one_channel_does_not_sign_for_another(attacked: Attacked) -> None:
    attacked.repository.channel("stable", attacked.repository.keys["canary"])
    attacked.repository.publish()
    attacked.require_refusal("metadata_not_signed", "metadata not signed")


def test_endless_metadata(attacked: Attacked) -> None:
    attacked.registry.endless.add("timestamp.json")
    attacked.require_refusal("metadata_endless", "metadata endless")
    attacked.registry.endless.clear()
    attacked.give("1.1.0")
    attacked.require_recovery()


def test_endless_target(attacked: Attacked) -> None:
    attacked.give("1.1.0")
    attacked.registry.endless.add("model.tflite")
    attacked.require_refusal("registry_refused", "is larger than the")
    parts = list((attacked.folder / "state" / "incoming").rglob("*.part"))
    assert sum(part.stat().st_size for part in parts) == 0
    attacked.registry.endless.clear()
    attacked.require_recovery()


def test_rollback_to_an_older_timestamp(attacked: Attacked) -> None:
    old = dict(attacked.repository.files)
    attacked.repository.publish()
    attacked.update()
    attacked.registry.repository.files.update({"timestamp.json": old["timestamp.json"]})
    attacked.require_refusal("metadata_rolled_back", "metadata rolled back")
    attacked.give("1.1.0")
    attacked.require_recovery()


def test_rollback_of_a_channel_inside_a_new_snapshot(attacked: Attacked) -> None:
    """The attacker holds the keys of snapshot and timestamp, not the channel's."""
    repository = attacked.repository
    repository.versions["stable"] -= 1
    repository.publish()
    attacked.require_refusal("metadata_rolled_back", "metadata rolled back")


def test_freeze(attacked: Attacked) -> None:
    """The same documents for ever: they end."""
    repository = attacked.repository
    now = repository.expires
    repository.expires = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=1)
    repository.timestamp()
    repository.expires = now
    attacked.require_refusal("metadata_expired", "metadata expired")
    attacked.give("1.1.0")
    attacked.require_recovery()


def test_mix_and_match(attacked: Attacked) -> None:
    """A channel's document of another moment under the version that the snapshot names."""
    repository = attacked.repository
    attacked.give("1.1.0")
    version = repository.versions["stable"]
    repository.versions["stable"] -= 1
    repository.given["stable"].clear()
    right = repository.files[f"{version}.stable.json"]
    repository.channel("stable")
    attacked.require_refusal("metadata_mixed", "metadata mixed")
    repository.files[f"{version}.stable.json"] = right
    attacked.require_recovery()


def test_snapshot_of_another_moment(attacked: Attacked) -> None:
    repository = attacked.repository
    attacked.give("1.1.0")
    right = repository.files[f"{repository.versions['snapshot']}.snapshot.json"]
    repository.versions["snapshot"] -= 1
    repository.snapshot()
    repository.files[f"{repository.versions['snapshot']}.snapshot.json"] = right[:-2] + b" }"
    attacked.require_refusal("metadata_mixed", "metadata mixed")


def test_fast_forward_is_undone_by_new_keys(attacked: Attacked) -> None:
    """Whoever held snapshot's and timestamp's keys made every later version look old."""
    repository = attacked.repository
    honest = dict(repository.versions)
    repository.versions["timestamp"] = repository.versions["snapshot"] = 2**31
    repository.publish()
    attacked.update()
    repository.versions.update(honest)
    attacked.give("1.1.0")
    attacked.require_refusal("metadata_rolled_back", "metadata rolled back")
    for role in ("snapshot", "timestamp"):
        repository.keys[role] = CryptoSigner.generate_ed25519()
    repository.root()
    repository.publish()
    attacked.require_recovery()


def test_wrong_software(attacked: Attacked) -> None:
    """A bundle that is signed, but for another name, put in the place of ours."""
    other = copy_bundle(attacked.folder / "other", name="squares", version="9.0.0")
    digest, size = attacked.registry.publish(other)
    attacked.repository.point("dots", "stable", "1.1.0", digest, size)
    attacked.require_refusal("registry_refused", r"asked for dots 1\.1\.0, the manifest is that of squares 9\.0\.0")


def test_channel_that_signs_outside_its_paths_is_not_asked(attacked: Attacked) -> None:
    """canary's key names a bundle of stable: nobody looks for stable's bundles there."""
    digest, size = attacked.registry.publish(copy_bundle(attacked.folder / "evil", version="6.6.6"))
    attacked.repository.point("dots", "canary", "6.6.6", digest, size)
    entry = attacked.repository.given["canary"].pop("canary/dots/manifest.json")
    attacked.repository.given["canary"]["stable/dots/manifest.json"] = entry
    attacked.repository.channel("canary")
    attacked.repository.publish()
    attacked.update()
    assert attacked.version == "1.0.0"


@pytest.mark.parametrize("role", ["root", "targets", "stable", "snapshot", "timestamp"])
def test_stolen_key_is_worth_nothing_after_its_rotation(attacked: Attacked, role: str) -> None:
    repository = attacked.repository
    stolen, repository.keys[role] = repository.keys[role], CryptoSigner.generate_ed25519()
    if role == "stable":
        repository.targets()
    else:
        repository.root(stolen, repository.keys[role]) if role == "root" else repository.root()
    if role in ("targets", "stable"):
        repository.targets() if role == "targets" else repository.channel("stable")
    attacked.give("1.1.0")
    attacked.require_recovery()
    # The thief goes on with the old key.
    new, repository.keys[role] = repository.keys[role], stolen
    if role == "root":
        repository.root()
    elif role == "targets":
        repository.targets()
    attacked.give("6.6.6")
    with pytest.raises(PlumblineError, match="metadata not signed"):
        attacked.update()
    assert attacked.version == "1.1.0"
    repository.keys[role] = new


def test_slow_retrieval(attacked: Attacked) -> None:
    attacked.give("1.1.0")
    for name in ("timestamp.json", "stable.json", "model.tflite"):
        attacked.registry.trickling.add(name)
        attacked.require_refusal("registry_unavailable", "came slower than 4096 bytes a second")
        attacked.registry.trickling.clear()
    attacked.registry.silent.add("timestamp.json")
    attacked.require_refusal("registry_unavailable", "stayed silent")
    attacked.registry.silent.clear()
    attacked.require_recovery()


def test_root_that_is_not_signed_by_the_one_before(attacked: Attacked) -> None:
    repository = attacked.repository
    thief = CryptoSigner.generate_ed25519()
    honest, repository.keys["root"] = repository.keys["root"], thief
    repository.root(thief)
    attacked.require_refusal("metadata_not_signed", "metadata not signed")
    repository.keys["root"] = honest
    del repository.files["2.root.json"]
    attacked.give("1.1.0")
    attacked.require_recovery()


def test_refusals_are_in_the_services_metrics(attacked: Attacked) -> None:
    attacked.registry.endless.add("timestamp.json")
    attacked.require_refusal("metadata_endless", "metadata endless")
    collected = CollectorRegistry()
    collected.register(UpdateMetrics(attacked.folder / "state"))
    assert collected.get_sample_value("plumbline_edge_update_failures_total", {"reason": "metadata_endless"}) == 1
    assert collected.get_sample_value("plumbline_edge_updates_total") == 2
    assert collected.get_sample_value("plumbline_edge_failed_bundles") == 0
    assert (collected.get_sample_value("plumbline_edge_update_success_timestamp_seconds") or 0) > 1.7e9
