"""The signer: a process of its own, with the snapshot and timestamp keys, that publishes what others signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Snapshot, Timestamp

from plumbline_contract.channel import CHANNELS
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.errors import ERRORS, InvalidMetadata, UnknownMetadata, UntrustedMetadata
from plumbline_registry.trust.documents import Document, delegator_of, parse, signed_as, verify
from plumbline_registry.trust.keys import KeysFolder, KeysUnusable
from plumbline_registry.trust.roles import LIFETIMES, ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from plumbline_registry.trust.signing import next_snapshot, next_timestamp


def sign_once(client: RegistryClient, keys: KeysFolder) -> bool:
    """Publish what is not yet in the snapshot and renew what is past half its life; False if there was nothing to do.

    Raises UntrustedMetadata rather than vouch for what its role's keys did not sign, or for an older state.
    """
    documents = read_documents(client, keys)
    adopt_next(keys, documents)
    return refresh_live(client, keys, documents)


def trusted_root(client: RegistryClient, keys: KeysFolder) -> Document:
    """The newest root, each version verified by the one before, from the folder's own; kept there."""
    root = parse(ROOT, keys.root())
    verify(root, signed_as(root, Root))
    while (content := _root(client, keys, root.version + 1)) is not None:
        newer = parse(ROOT, content)
        verify(newer, signed_as(root, Root))
        verify(newer, signed_as(newer, Root))
        if newer.version != root.version + 1:
            raise UntrustedMetadata(
                f"the registry gave root {newer.version} for {root.version + 1}; nothing was signed"
            )
        root = newer
        keys.keep_root(content)
    return root


def _root(client: RegistryClient, keys: KeysFolder, version: int) -> bytes | None:
    """One that `promote` saw first: what was seen under it counts, so the registry must not be able to withhold it."""
    return keys.seen_root(version) or _fetch(client, ROOT, version)


def read_documents(client: RegistryClient, keys: KeysFolder) -> dict[str, Document]:
    """The newest document of every role, each verified and none older than what was seen before; expiry is not looked
    at. Raises UntrustedMetadata, KeysUnusable.
    """
    root = trusted_root(client, keys)
    # Read before the registry is asked: another process with these keys may sign meanwhile.
    seen = _last_seen(keys, root)
    # And the timestamp before the versions, or it could name a snapshot that came after them.
    documents = {ROOT: root, TIMESTAMP: _newest(client, TIMESTAMP, 0)}
    versions = client.metadata_versions()
    for role in (TARGETS, *CHANNELS, SNAPSHOT):
        documents[role] = _newest(client, role, versions.get(role, 0))
    for role in (TARGETS, *CHANNELS, SNAPSHOT, TIMESTAMP):
        verify(documents[role], delegator_of(role, documents))
    _refuse_rollback(documents, seen, keys)
    remember(keys, documents.values())
    return documents


def _last_seen(keys: KeysFolder, root: Document) -> list[Document]:
    """The snapshot and timestamp seen last. One whose key was rotated since says nothing any more, as to devices."""
    seen = []
    for role in (SNAPSHOT, TIMESTAMP):
        content = keys.last_seen(role)
        if content is None:
            continue
        try:
            document = parse(role, content)
            verify(document, signed_as(root, Root))
        except InvalidMetadata as error:
            raise KeysUnusable(f"what was seen last does not parse: {error}; remove {str(keys.seen)!r}") from error
        except UntrustedMetadata:
            continue
        seen.append(document)
    return seen


def _refuse_rollback(documents: Mapping[str, Document], seen: Iterable[Document], keys: KeysFolder) -> None:
    """Raise UntrustedMetadata where the registry gives an older document than was signed before."""
    for witness in (*seen, documents[SNAPSHOT], documents[TIMESTAMP]):
        for role, version in _versions_known_to(witness).items():
            if role in documents and documents[role].version < version:
                raise UntrustedMetadata(
                    f"the registry gives {role} {documents[role].version}, signed before was {version}; nothing was"
                    f" signed. Where it was restored from a backup, remove {str(keys.seen)!r}, rotate snapshot and"
                    " timestamp, and promote again"
                )


def _versions_known_to(live: Document) -> dict[str, int]:
    """What a snapshot or timestamp proves to have been signed: itself, and what it lists."""
    if live.role == TIMESTAMP:
        return {TIMESTAMP: live.version, SNAPSHOT: signed_as(live, Timestamp).snapshot_meta.version}
    listed = signed_as(live, Snapshot).meta.items()
    return {SNAPSHOT: live.version, **{name.removesuffix(".json"): file.version for name, file in listed}}


def remember(keys: KeysFolder, documents: Iterable[Document]) -> None:
    """Keep the snapshot and timestamp among these, so that no older ones are believed later. Raises KeysUnusable."""
    for document in documents:
        if document.role in (SNAPSHOT, TIMESTAMP):
            keys.remember(document.role, document.content)


def adopt_next(keys: KeysFolder, documents: Mapping[str, Document]) -> None:
    """End a rotation that broke off after the registry took it: its key is the one that the documents name.

    A next key that none names stays where it is, as its rotation may be under way.
    """
    for role in ROLES:
        signer = keys.next_signer(role)
        if signer is None:
            continue
        named = delegator_of(role, documents).get_delegated_role(role).keyids
        if signer.public_key.keyid in named:
            keys.replace(role, signer)


def refresh_live(client: RegistryClient, keys: KeysFolder, documents: Mapping[str, Document]) -> bool:
    """Send a new snapshot and timestamp, where they are due; False if they are not."""
    due = live_documents(keys.signer, documents)
    if due:
        client.send_metadata(due)
        remember(keys, due)
    return bool(due)


def live_documents(
    signer_of: Callable[[str], CryptoSigner], documents: Mapping[str, Document], *, always: bool = False
) -> list[Document]:
    """A new snapshot and timestamp, each where it is due."""
    snapshot, timestamp = documents[SNAPSHOT], documents[TIMESTAMP]
    due = []
    if always or _is_stale(snapshot, documents):
        snapshot = next_snapshot(documents, snapshot.version + 1, signer_of(SNAPSHOT))
        due.append(snapshot)
    if due or is_half_over(timestamp):
        due.append(next_timestamp(snapshot, timestamp.version + 1, signer_of(TIMESTAMP)))
    return due


def _is_stale(snapshot: Document, documents: Mapping[str, Document]) -> bool:
    listed = {name: file.version for name, file in signed_as(snapshot, Snapshot).meta.items()}
    return is_half_over(snapshot) or listed != {
        f"{role}.json": documents[role].version for role in (TARGETS, *CHANNELS)
    }


def is_half_over(document: Document) -> bool:
    """Whether it is time to sign it again."""
    left = document.metadata.signed.expires - datetime.now(timezone.utc)
    return bool(left < LIFETIMES[document.role] / 2)


def _newest(client: RegistryClient, role: str, version: int) -> Document:
    content = _fetch(client, role, version)
    if content is None:
        raise UntrustedMetadata(f"the registry has no {role} metadata; nothing was signed")
    return parse(role, content)


def _fetch(client: RegistryClient, role: str, version: int) -> bytes | None:
    try:
        return client.metadata(role, version)
    except RequestRefused as error:
        if error.code == ERRORS[UnknownMetadata].code:
            return None
        raise
