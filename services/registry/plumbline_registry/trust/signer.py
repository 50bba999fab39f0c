"""The signer: a process of its own, with the snapshot and timestamp keys, that publishes what others signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Snapshot

from plumbline_contract.channel import CHANNELS
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.errors import ERRORS, UnknownMetadata, UntrustedMetadata
from plumbline_registry.trust.documents import Document, delegator_of, parse, signed_as, verify
from plumbline_registry.trust.keys import KeysFolder
from plumbline_registry.trust.roles import LIFETIMES, ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from plumbline_registry.trust.signing import next_snapshot, next_timestamp


def sign_once(client: RegistryClient, keys: KeysFolder) -> bool:
    """Publish what is not yet in the snapshot and renew what is past half its life; False if there was nothing to do.

    Raises UntrustedMetadata rather than vouch for what its role's keys did not sign, or for an older state.
    """
    documents = read_documents(client, trusted_root(client, keys))
    adopt_next(keys, documents)
    return refresh_live(client, keys, documents)


def trusted_root(client: RegistryClient, keys: KeysFolder) -> Document:
    """The newest root, each version verified by the one before, from the folder's own; kept there."""
    root = parse(ROOT, keys.root())
    verify(root, signed_as(root, Root))
    while (content := _fetch(client, ROOT, root.version + 1)) is not None:
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


def read_documents(client: RegistryClient, root: Document) -> dict[str, Document]:
    """The newest document of every role; all but snapshot and timestamp verified. Raises UntrustedMetadata."""
    documents = {ROOT: root}
    versions = client.metadata_versions()
    for role in (TARGETS, *CHANNELS, SNAPSHOT, TIMESTAMP):
        content = _fetch(client, role, versions.get(role, 0))
        if content is None:
            raise UntrustedMetadata(f"the registry has no {role} metadata; nothing was signed")
        documents[role] = parse(role, content)
        if role not in (SNAPSHOT, TIMESTAMP):
            verify(documents[role], delegator_of(role, documents))
    return documents


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
    return bool(due)


def live_documents(
    signer_of: Callable[[str], CryptoSigner], documents: Mapping[str, Document], *, always: bool = False
) -> list[Document]:
    """A new snapshot and timestamp, each where it is due. Raises UntrustedMetadata for an older state."""
    snapshot, timestamp = documents[SNAPSHOT], documents[TIMESTAMP]
    refuse_rollback(documents)
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


def refuse_rollback(documents: Mapping[str, Document]) -> None:
    """Raise UntrustedMetadata where the registry gives an older document than its snapshot lists."""
    for name, file in signed_as(documents[SNAPSHOT], Snapshot).meta.items():
        role = name.removesuffix(".json")
        if role in documents and documents[role].version < file.version:
            raise UntrustedMetadata(
                f"the registry gives {role} {documents[role].version}, signed before was {file.version}; nothing was"
                " signed"
            )


def is_half_over(document: Document) -> bool:
    """Whether it is time to sign it again."""
    left = document.metadata.signed.expires - datetime.now(timezone.utc)
    return bool(left < LIFETIMES[document.role] / 2)


def _fetch(client: RegistryClient, role: str, version: int) -> bytes | None:
    try:
        return client.metadata(role, version)
    except RequestRefused as error:
        if error.code == ERRORS[UnknownMetadata].code:
            return None
        raise
