"""Only what the roles' keys signed becomes what a channel gives, over real HTTP; the registry holds no key."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tuf.api.metadata import Metadata, MetaFile, Signed, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater

from plumbline_contract.channel import CHANNELS, target_path
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.errors import MetadataConflict, UntrustedMetadata
from plumbline_registry.tokens import create_token
from plumbline_registry.trust.acceptance import Entry
from plumbline_registry.trust.documents import Document, parse, signed_as
from plumbline_registry.trust.keys import KeysFolder, KeysUnusable
from plumbline_registry.trust.operator import initialise, promote, renew, rotate
from plumbline_registry.trust.roles import ROLES
from plumbline_registry.trust.signer import sign_once
from plumbline_registry.trust.signing import sign, with_entry
from plumbline_registry.trust.view import ClientFetcher

if TYPE_CHECKING:
    from tests.registry.conftest import Bundle, Operator, Server

MakeBundle = Callable[..., "Bundle"]
TOKEN = "a-token-for-tests-only"


@pytest.fixture
def operator(make_bundle: MakeBundle, server: Server, client: httpx.Client) -> Operator:
    """Keys made, test-net 1.0.0 and 1.1.0 published, 1.0.0 in stable."""
    for version in ("1.0.0", "1.1.0"):
        bundle = make_bundle(version)
        client.put(bundle.path, content=bundle.tar()).raise_for_status()
    operator = server.operator()
    with RegistryClient(server.url, TOKEN) as registry:
        promote(registry, operator.keys, entry_of(registry, "1.0.0"))
        sign_once(registry, operator.keys)
    return operator


@pytest.fixture
def registry(server: Server) -> Iterator[RegistryClient]:
    with RegistryClient(server.url, TOKEN) as client:
        yield client


def entry_of(registry: RegistryClient, version: str, channel: str = "stable", reason: str = "a test") -> Entry:
    info = registry.version("test-net", version)
    return Entry(
        channel, "test-net", version, info.manifest_sha256, len(registry.manifest("test-net", version)), reason
    )


def device(registry: RegistryClient, root: bytes, cache: Path) -> Updater:
    """python-tuf's own client."""
    metadata, targets = f"{registry.url}/tuf/metadata", f"{registry.url}/tuf/targets"
    return Updater(str(cache), metadata, str(cache), targets, fetcher=ClientFetcher(registry), bootstrap=root)


def given(registry: RegistryClient, keys: KeysFolder, cache: Path) -> str | None:
    target = device(registry, keys.root(), cache).get_targetinfo(target_path("stable", "test-net"))
    return None if target is None else str(target.custom["version"])


def refused(code: str, call: Callable[[], object]) -> str:
    with pytest.raises(RequestRefused) as error:
        call()
    assert error.value.code == code, error.value
    return str(error.value)


def test_plain_tuf_client_gets_the_promoted_manifest(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    updater = device(registry, operator.keys.root(), tmp_path / "cache")
    target = updater.get_targetinfo("stable/test-net/manifest.json")
    assert target is not None
    assert target.custom == {"version": "1.0.0", "reason": "a test"}
    assert b'"version": "1.0.0"' in Path(updater.download_target(target)).read_bytes()
    assert updater.get_targetinfo("canary/test-net/manifest.json") is None


def test_promotion_is_seen_once_the_signer_published_it(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    assert given(registry, operator.keys, tmp_path / "before") == "1.0.0"
    assert sign_once(registry, operator.keys)
    assert not sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "before") == "1.1.0"
    assert given(registry, operator.keys, tmp_path / "fresh") == "1.1.0"


def test_no_private_key_is_where_the_registry_can_read_it(operator: Operator) -> None:
    folder = operator.server.settings.blob_dir.parent
    private = [path for path in folder.rglob("*.pem") if not path.is_relative_to(operator.keys.folder)]
    assert private == []
    assert {path.stat().st_mode & 0o777 for path in operator.keys.folder.rglob("*.pem")} == {0o600}


def next_stable(registry: RegistryClient, **changes: object) -> Targets:
    """The payload of the next stable document that gives 1.1.0, with attributes of its entry changed."""
    newest = registry.metadata_versions()["stable"]
    current = signed_as(parse("stable", registry.metadata("stable", newest)), Targets)
    return with_entry(current, Entry(**{**vars(entry_of(registry, "1.1.0")), **changes}))


def test_what_a_channel_may_not_say(operator: Operator, registry: RegistryClient) -> None:
    key = operator.keys.signer("stable")
    wrong: list[tuple[dict[str, object], str]] = [
        ({"manifest_sha256": "0" * 64}, "published is"),
        ({"manifest_bytes": 1}, "published is"),
        ({"version": "9.9.9"}, "never published"),
        ({"name": "other-net"}, "never published"),
        ({"reason": ""}, "lacks version or reason"),
        ({"reason": "x" * 501}, "lacks version or reason"),
        ({"reason": "a\0b"}, "has a NUL"),
        ({"channel": "dev"}, "it may name only stable/*/manifest.json"),
    ]
    for changes, message in wrong:
        document = sign("stable", next_stable(registry, **changes), key)
        assert message in refused("invalid_metadata", partial(registry.send_metadata, [document])), changes
    emptied = next_stable(registry)
    emptied.targets.clear()
    dropped = sign("stable", emptied, key)
    assert "no longer names ['test-net']" in refused("invalid_metadata", partial(registry.send_metadata, [dropped]))
    assert registry.metadata_versions()["stable"] == 2


def test_wrong_keys_and_versions_are_refused(operator: Operator, registry: RegistryClient) -> None:
    forged = sign("stable", next_stable(registry), operator.keys.signer("dev"))
    refused("untrusted_metadata", lambda: registry.send_metadata([forged]))
    for version in (1, 2, 4):
        payload = next_stable(registry)
        payload.version = version
        document = sign("stable", payload, operator.keys.signer("stable"))
        refused("metadata_conflict", partial(registry.send_metadata, [document]))
    own = sign(
        "targets", signed_as(parse("targets", registry.metadata("targets", 1)), Targets), operator.keys.signer("dev")
    )
    refused("metadata_conflict", lambda: registry.send_metadata([own]))


@pytest.mark.parametrize(("scope", "roles"), [("promote", {"stable"}), ("sign", {"timestamp"}), ("device", set())])
def test_tokens_scope_limits_the_roles_it_may_send(
    operator: Operator, registry: RegistryClient, scope: str, roles: set[str]
) -> None:
    token = create_token(operator.server.settings.tokens_file, "limited", (scope,))  # type: ignore[arg-type]
    with operator.server.client(token) as limited:
        for role in ROLES:
            answer = limited.post("/v1/metadata", json={"documents": {role: "{}"}})
            known = "invalid_metadata" if role in roles or _same(role, roles) else "forbidden"
            assert answer.json()["error"]["code"] == known, role


def _same(role: str, roles: set[str]) -> bool:
    return (role in CHANNELS and "stable" in roles) or (role == "snapshot" and "timestamp" in roles)


def test_concurrent_promotions_have_one_winner(operator: Operator, server: Server) -> None:
    def attempt(number: int) -> str:
        with RegistryClient(server.url, TOKEN) as client:
            payload = next_stable(client, reason=f"attempt {number}")
            payload.version = 3
            try:
                client.send_metadata([sign("stable", payload, operator.keys.signer("stable"))])
            except RequestRefused as error:
                return str(error.code)
            return "won"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, range(6)))
    assert sorted(outcomes) == ["metadata_conflict"] * 5 + ["won"]
    history = httpx.get(f"{server.url}/v1/bundles/test-net/channels/stable/history").json()["history"]
    assert [move["reason"] for move in history] == [f"attempt {outcomes.index('won')}", "a test"]


@pytest.mark.parametrize("role", ROLES)
def test_rotation_keeps_devices_going_and_ends_the_old_key(
    operator: Operator, registry: RegistryClient, tmp_path: Path, role: str
) -> None:
    anchor, old = operator.keys.root(), operator.keys.signer(role)
    assert given(registry, operator.keys, tmp_path / "known") == "1.0.0"
    rotate(registry, operator.keys, role)
    assert operator.keys.signer(role).public_key != old.public_key
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "known") == "1.1.0"
    target = device(registry, anchor, tmp_path / "cold").get_targetinfo(target_path("stable", "test-net"))
    assert target is not None
    assert target.custom["version"] == "1.1.0"
    newest = registry.metadata_versions()[role]
    signed = parse(role, registry.metadata(role, newest)).metadata.signed
    signed.version += 1
    refused("untrusted_metadata", lambda: registry.send_metadata([sign(role, signed, old)]))


class LostError(Exception):
    """The process ended before it could take note of the answer."""


class BreaksOff(RegistryClient):
    """Sends, and is gone before the answer."""

    def send_metadata(self, documents: Sequence[Document]) -> None:
        super().send_metadata(documents)
        raise LostError


def names_of_keys(keys: KeysFolder) -> list[str]:
    return sorted(path.name for path in (keys.folder / "private").iterdir())


@pytest.mark.parametrize("role", ROLES)
def test_rotation_that_ends_between_sending_and_storing_loses_no_key(
    operator: Operator, registry: RegistryClient, tmp_path: Path, role: str
) -> None:
    keys, anchor, old = operator.keys, operator.keys.root(), operator.keys.signer(role)
    with BreaksOff(registry.url, TOKEN) as breaking, pytest.raises(LostError):
        rotate(breaking, keys, role)
    pending = keys.next_signer(role)
    assert pending is not None
    assert keys.signer(role).public_key == old.public_key
    assert {path.stat().st_mode & 0o777 for path in keys.folder.rglob("*.pem")} == {0o600}
    sign_once(registry, keys)
    assert keys.signer(role).public_key == pending.public_key
    assert keys.next_signer(role) is None
    promote(registry, keys, entry_of(registry, "1.1.0"))
    rotate(registry, keys, role)
    assert [name for name in names_of_keys(keys) if name.startswith(("next-", "unused-"))] == []
    assert sum(name.startswith(f"retired-{role}-") for name in names_of_keys(keys)) == 2
    assert given(registry, keys, tmp_path / "known") == "1.1.0"
    target = device(registry, anchor, tmp_path / "cold").get_targetinfo(target_path("stable", "test-net"))
    assert target is not None
    assert target.custom["version"] == "1.1.0"


def test_promotion_signs_with_the_key_of_a_rotation_that_ended_early(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    """The signer is elsewhere, and has published what the rotation sent."""
    signer = KeysFolder(tmp_path / "signer")
    shutil.copytree(operator.keys.folder, signer.folder)
    with BreaksOff(registry.url, TOKEN) as breaking, pytest.raises(LostError):
        rotate(breaking, operator.keys, "stable")
    sign_once(registry, signer)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    assert operator.keys.next_signer("stable") is None
    sign_once(registry, signer)
    assert given(registry, operator.keys, tmp_path / "device") == "1.1.0"


@pytest.mark.parametrize("role", ["root", "targets", "stable"])
def test_rotation_right_after_one_that_ended_early_needs_the_key_that_was_taken(
    operator: Operator, registry: RegistryClient, role: str
) -> None:
    with BreaksOff(registry.url, TOKEN) as breaking, pytest.raises(LostError):
        rotate(breaking, operator.keys, role)
    for then in (role, "targets", "stable"):
        rotate(registry, operator.keys, then)
    assert operator.keys.next_signer(role) is None
    assert not sign_once(registry, operator.keys)


@pytest.mark.parametrize("role", ROLES)
def test_refused_rotation_leaves_the_old_key_in_use(operator: Operator, registry: RegistryClient, role: str) -> None:
    keys, old = operator.keys, operator.keys.signer(role)
    token = create_token(operator.server.settings.tokens_file, "limited", ("device",))
    with RegistryClient(registry.url, token) as limited:
        refused("forbidden", lambda: rotate(limited, keys, role))
    promote(registry, keys, entry_of(registry, "1.1.0"))
    sign_once(registry, keys)
    assert keys.signer(role).public_key == old.public_key
    rotate(registry, keys, role)
    assert keys.next_signer(role) is None
    assert keys.signer(role).public_key != old.public_key
    assert sum(name.startswith(f"unused-{role}-") for name in names_of_keys(keys)) == 1
    promote(registry, keys, entry_of(registry, "1.0.0"))
    assert sign_once(registry, keys)


def test_rotation_replaces_a_key_that_cannot_be_read(operator: Operator, registry: RegistryClient) -> None:
    (operator.keys.folder / "private" / "stable.pem").write_text("rotten")
    rotate(registry, operator.keys, "stable")
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))


def test_rotation_without_the_signers_other_key_changes_nothing(operator: Operator, registry: RegistryClient) -> None:
    old = operator.keys.signer("snapshot")
    (operator.keys.folder / "private" / "timestamp.pem").unlink()
    with pytest.raises(KeysUnusable, match="signing for timestamp needs it"):
        rotate(registry, operator.keys, "snapshot")
    assert operator.keys.signer("snapshot").public_key == old.public_key
    assert operator.keys.next_signer("snapshot") is None


def test_refused_init_is_repeated_with_the_same_keys(server: Server, registry: RegistryClient, tmp_path: Path) -> None:
    keys = KeysFolder(tmp_path / "operator")
    token = create_token(server.settings.tokens_file, "limited", ("device",))
    with RegistryClient(server.url, token) as limited:
        refused("forbidden", lambda: initialise(limited, keys))
    made = {role: keys.signer(role).public_key for role in ROLES}
    assert not (keys.folder / "root.json").exists()
    (keys.folder / "private" / "dev.pem").unlink()  # as if the first run had ended while it made the keys
    initialise(registry, keys)
    assert [role for role in ROLES if keys.signer(role).public_key != made[role]] == ["dev"]
    assert keys.root() == registry.metadata("root", 1)
    assert not sign_once(registry, keys)
    with pytest.raises(KeysUnusable, match="holds keys already"):
        initialise(registry, keys)


def test_init_whose_answer_was_lost_is_completed_by_its_own_keys_alone(
    server: Server, registry: RegistryClient, tmp_path: Path
) -> None:
    keys, others = KeysFolder(tmp_path / "operator"), KeysFolder(tmp_path / "others")
    with BreaksOff(server.url, TOKEN) as breaking, pytest.raises(LostError):
        initialise(breaking, keys)
    for role in ROLES:
        others.generate(role)
    with pytest.raises(MetadataConflict, match="has its metadata already"):
        initialise(registry, others)
    assert not (keys.folder / "root.json").exists()
    initialise(registry, keys)
    assert keys.root() == registry.metadata("root", 1)
    assert not sign_once(registry, keys)


def test_stolen_channel_key_is_cleared_and_the_good_version_promoted_again(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    registry.send_metadata([sign("stable", next_stable(registry, reason="evil"), operator.keys.signer("stable"))])
    sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "device") == "1.1.0"
    rotate(registry, operator.keys, "stable", clear=True)
    assert given(registry, operator.keys, tmp_path / "device") is None
    promote(registry, operator.keys, entry_of(registry, "1.0.0", reason="the good one"))
    sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "device") == "1.0.0"


def test_signer_does_not_vouch_for_an_older_state(operator: Operator, registry: RegistryClient) -> None:
    """A registry that forgot a promotion, such as one restored from an old backup."""
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    sign_once(registry, operator.keys)

    class Forgetful(RegistryClient):
        def metadata_versions(self) -> dict[str, int]:
            return {**super().metadata_versions(), "stable": 2}

    with (
        Forgetful(operator.server.url, TOKEN) as forgetful,
        pytest.raises(UntrustedMetadata, match="gives stable 2, signed before was 3"),
    ):
        sign_once(forgetful, operator.keys)


class Showing(RegistryClient):
    """A registry in wrong hands, without a key: it shows these documents, and roots up to this one."""

    def __init__(self, url: str, shown: dict[str, Document], newest_root: int = 99) -> None:
        super().__init__(url, TOKEN)
        self.shown, self.newest_root = shown, newest_root
        self.sent: list[Document] = []

    def metadata_versions(self) -> dict[str, int]:
        return {role: document.version for role, document in self.shown.items()}

    def metadata(self, role: str, version: int) -> bytes:
        if role != "root":
            return self.shown[role].content
        if version > self.newest_root:
            raise RequestRefused("withheld", "unknown_metadata")
        return super().metadata(role, version)

    def send_metadata(self, documents: Sequence[Document]) -> None:
        self.sent += documents


def shown_now(registry: RegistryClient) -> dict[str, Document]:
    versions = registry.metadata_versions()
    return {role: parse(role, registry.metadata(role, versions[role])) for role in ROLES if role != "root"}


def far_ahead(role: str) -> Signed:
    """A document that would make every later one look old."""
    snapshot = Snapshot(10**17, meta={"targets.json": MetaFile(1)})
    return snapshot if role == "snapshot" else Timestamp(10**17, snapshot_meta=MetaFile(10**17))


def unsigned(role: str) -> Document:
    metadata: Metadata[Any] = Metadata(far_ahead(role))
    return parse(role, metadata.to_bytes())


SIGNS: list[Callable[[RegistryClient, KeysFolder], object]] = [
    sign_once,
    renew,
    lambda client, keys: rotate(client, keys, "stable"),
    lambda client, keys: rotate(client, keys, "snapshot"),
]


def test_nothing_is_signed_on_top_of_what_nobody_signed(operator: Operator, registry: RegistryClient) -> None:
    """A genuine older stable, and made-up documents that list nothing newer and have versions far ahead."""
    old = shown_now(registry)
    shutil.rmtree(operator.keys.seen)
    for roles in (("snapshot",), ("timestamp",), ("snapshot", "timestamp")):
        made_up = {role: unsigned(role) for role in roles}
        wrong = Showing(registry.url, {**old, **made_up})
        with wrong:
            for act in SIGNS:
                with pytest.raises(UntrustedMetadata, match=f"{roles[0]} version 1{'0' * 17}: .* signed by 0/1"):
                    act(wrong, operator.keys)
            assert wrong.sent == []


def test_nothing_is_signed_on_top_of_an_older_state_than_was_signed_here(
    operator: Operator, registry: RegistryClient
) -> None:
    """All of it genuine, as yesterday; only the memory of who signs tells."""
    old = shown_now(registry)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    sign_once(registry, operator.keys)
    wrong = Showing(registry.url, old)
    with wrong:
        for act in SIGNS:
            with pytest.raises(UntrustedMetadata, match=r"snapshot 2, signed before was 3; .*/seen', rotate snapshot"):
                act(wrong, operator.keys)
        assert wrong.sent == []
        shutil.rmtree(operator.keys.seen)
        rotate(wrong, operator.keys, "snapshot")  # as after a restore that the operator knows of
        assert {document.role for document in wrong.sent} == {"root", "snapshot", "timestamp"}


def test_older_state_under_a_root_that_is_withheld_is_refused(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    """This folder knows of the new root by a promotion alone."""
    elsewhere = KeysFolder(tmp_path / "elsewhere")
    shutil.copytree(operator.keys.folder, elsewhere.folder)
    (operator.keys.folder / "private" / "targets.pem").unlink()
    old = shown_now(registry)
    for role in ("snapshot", "timestamp"):
        rotate(registry, elsewhere, role)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    with Showing(registry.url, old, newest_root=1) as wrong, pytest.raises(UntrustedMetadata):
        sign_once(wrong, operator.keys)


def test_a_signer_needs_its_two_keys_and_the_root_and_makes_its_own_memory(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    signer = KeysFolder(tmp_path / "signer")
    (signer.folder / "private").mkdir(parents=True)
    for file in ("root.json", "private/snapshot.pem", "private/timestamp.pem"):
        shutil.copy(operator.keys.folder / file, signer.folder / file)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    assert sign_once(registry, signer)
    assert not sign_once(registry, signer)
    assert {path.name for path in signer.seen.iterdir()} == {"snapshot.json", "timestamp.json"}
    for role in ("snapshot", "timestamp"):
        assert signer.last_seen(role) == shown_now(registry)[role].content


def test_rotating_both_keys_ends_a_fast_forward_for_signers_too(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    """Whoever had the keys pushed the versions; the registry was then restored from a copy."""
    signer = KeysFolder(tmp_path / "signer")
    shutil.copytree(operator.keys.folder, signer.folder)
    for keys in (operator.keys, signer):
        for role in ("snapshot", "timestamp"):
            keys.remember(role, sign(role, far_ahead(role), keys.signer(role)).content)
        with pytest.raises(UntrustedMetadata, match=f"signed before was 1{'0' * 17}"):
            sign_once(registry, keys)
    shutil.rmtree(operator.keys.seen)
    for role in ("snapshot", "timestamp"):
        rotate(registry, operator.keys, role)
        shutil.copy(operator.keys.folder / "private" / f"{role}.pem", signer.folder / "private")
    assert not sign_once(registry, signer)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    assert sign_once(registry, signer)


def test_another_that_signs_meanwhile_is_no_rollback(operator: Operator, registry: RegistryClient) -> None:
    class Busy(RegistryClient):
        def metadata_versions(self) -> dict[str, int]:
            before = super().metadata_versions()
            promote(registry, operator.keys, entry_of(registry, "1.1.0"))
            assert sign_once(registry, operator.keys)
            return before

    with Busy(registry.url, TOKEN) as busy:
        assert not sign_once(busy, operator.keys)
    assert not sign_once(registry, operator.keys)


def test_memory_that_is_damaged_is_named(operator: Operator, registry: RegistryClient) -> None:
    operator.keys.remember("timestamp", b"")
    with pytest.raises(KeysUnusable, match=r"what was seen last does not parse.*; remove '.*/seen'"):
        sign_once(registry, operator.keys)


def test_operator_does_not_sign_on_top_of_what_is_not_trusted(operator: Operator, registry: RegistryClient) -> None:
    shutil.rmtree(operator.keys.seen)

    class Lying(RegistryClient):
        def get_raw(self, url: str) -> httpx.Response:
            answer = super().get_raw(url)
            if "stable" in url:
                answer._content = answer.content.replace(b"1.0.0", b"6.6.6")
            return answer

    with Lying(operator.server.url, TOKEN) as lying, pytest.raises(UntrustedMetadata, match="nothing was signed"):
        promote(lying, operator.keys, entry_of(registry, "1.1.0"))


def test_signer_renews_what_is_past_half_its_life(operator: Operator, registry: RegistryClient) -> None:
    timestamp = parse("timestamp", registry.metadata("timestamp", 0)).metadata
    before = timestamp.signed.version
    timestamp.signed.version += 1
    timestamp.signed.expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    timestamp.sign(operator.keys.signer("timestamp"))
    registry.send_metadata([parse("timestamp", timestamp.to_bytes())])
    assert sign_once(registry, operator.keys)
    assert parse("timestamp", registry.metadata("timestamp", 0)).version == before + 2


def shorten(registry: RegistryClient, keys: KeysFolder, role: str, days: int) -> Document:
    """Its next version, which ends so many days from now; published."""
    document = parse(role, registry.metadata(role, registry.metadata_versions()[role]))
    document.metadata.signed.version += 1
    document.metadata.signed.expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=days)
    document.metadata.sign(keys.signer(role))
    short = parse(role, document.metadata.to_bytes())
    registry.send_metadata([short])
    sign_once(registry, keys)
    return short


def days_left(registry: RegistryClient, role: str) -> float:
    signed = parse(role, registry.metadata(role, registry.metadata_versions()[role])).metadata.signed
    return float((signed.expires - datetime.now(timezone.utc)) / timedelta(days=1))


def test_promoting_the_same_again_renews_what_is_past_half_its_life(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    again = entry_of(registry, "1.0.0", reason="to renew it")
    assert promote(registry, operator.keys, again) == 2
    before = [shorten(registry, operator.keys, role, 90) for role in ("targets", "stable")]
    assert promote(registry, operator.keys, again) == before[1].version + 1
    assert min(days_left(registry, role) for role in ("targets", "stable")) > 360
    after = parse("stable", registry.metadata("stable", before[1].version + 1))
    assert signed_as(after, Targets).targets == signed_as(before[1], Targets).targets
    sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "device") == "1.0.0"
    history = httpx.get(f"{registry.url}/v1/bundles/test-net/channels/stable/history").json()["history"]
    assert [move["reason"] for move in history] == ["a test"]


def test_a_token_for_channels_alone_still_promotes_where_targets_is_due(
    operator: Operator, registry: RegistryClient
) -> None:
    shorten(registry, operator.keys, "targets", 90)
    token = create_token(operator.server.settings.tokens_file, "releases", ("promote",))
    with RegistryClient(registry.url, token) as limited:
        assert promote(limited, operator.keys, entry_of(registry, "1.1.0")) == 3
    assert days_left(registry, "targets") < 91


def test_what_expired_is_renewed_by_who_holds_its_key(
    operator: Operator, registry: RegistryClient, tmp_path: Path
) -> None:
    for role in ("root", "targets", "stable"):
        shorten(registry, operator.keys, role, -1)
    with pytest.raises(UntrustedMetadata, match="plumbline-registry renew"):
        promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    assert renew(registry, operator.keys) == ["root", "targets", "stable"]
    assert renew(registry, operator.keys) == []
    assert operator.keys.root() == registry.metadata("root", registry.metadata_versions()["root"])
    sign_once(registry, operator.keys)
    promote(registry, operator.keys, entry_of(registry, "1.1.0"))
    sign_once(registry, operator.keys)
    assert given(registry, operator.keys, tmp_path / "device") == "1.1.0"
    without = KeysFolder(tmp_path / "without")
    without.folder.mkdir()
    without.keep_root(operator.keys.root())
    shorten(registry, operator.keys, "stable", 90)
    assert renew(registry, without) == []


def test_missing_key_is_named(operator: Operator, registry: RegistryClient, tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match="signing for stable needs it"):
        promote(registry, KeysFolder(tmp_path), entry_of(registry, "1.1.0"))
