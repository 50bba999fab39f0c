"""What an operator or CI does with keys: set up, promote, rotate. Each trusts root.json and what that vouches for."""

from __future__ import annotations

from datetime import datetime, timezone

from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Targets

from plumbline_contract.channel import CHANNELS, target_path
from plumbline_registry.client import RegistryClient
from plumbline_registry.errors import MetadataConflict, UntrustedMetadata
from plumbline_registry.trust.acceptance import Entry
from plumbline_registry.trust.documents import Document, delegator_of, parse, signed_as, verify
from plumbline_registry.trust.keys import KeysFolder, KeysUnusable
from plumbline_registry.trust.roles import ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from plumbline_registry.trust.signer import read_documents, refresh_live, trusted_root
from plumbline_registry.trust.signing import (
    first_root,
    first_targets,
    next_snapshot,
    next_timestamp,
    sign,
    with_entry,
)
from plumbline_registry.trust.view import SeenRepository


def initialise(client: RegistryClient, keys: KeysFolder) -> None:
    """Make a key for every role and send version 1 of everything. Raises KeysUnusable if keys are there already."""
    if not keys.is_fresh():
        raise KeysUnusable(f"{str(keys.folder)!r} holds keys already; choose another folder with --keys, or `rotate`")
    if client.metadata_versions():
        raise MetadataConflict("this registry has its metadata already; use the keys that were made for it")
    signers = {role: keys.generate(role) for role in ROLES}
    public = {role: signer.public_key for role, signer in signers.items()}
    documents = {
        ROOT: sign(ROOT, first_root(public), signers[ROOT]),
        TARGETS: sign(TARGETS, first_targets(public), signers[TARGETS]),
    }
    documents.update({channel: sign(channel, Targets(), signers[channel]) for channel in CHANNELS})
    documents[SNAPSHOT] = next_snapshot(documents, 1, signers[SNAPSHOT])
    documents[TIMESTAMP] = next_timestamp(documents[SNAPSHOT], 1, signers[TIMESTAMP])
    keys.keep_root(documents[ROOT].content)
    client.send_metadata(list(documents.values()))


def promote(client: RegistryClient, keys: KeysFolder, entry: Entry) -> int:
    """Sign and send the channel's next version on top of what devices see; gives its version.

    Raises KeysUnusable, UntrustedMetadata, and RequestRefused (`metadata_conflict`) if another came first.
    """
    signer = keys.signer(entry.channel)
    current = signed_as(_seen(client, keys, entry.channel), Targets)
    known = current.targets.get(target_path(entry.channel, entry.name))
    if known is not None and known.hashes.get("sha256") == entry.manifest_sha256:
        return current.version
    document = sign(entry.channel, with_entry(current, entry), signer)
    client.send_metadata([document])
    return document.version


def _seen(client: RegistryClient, keys: KeysFolder, channel: str) -> Document:
    try:
        return SeenRepository(client, keys).document(channel)
    except ExpiredMetadataError as error:
        raise UntrustedMetadata(f"{error}; run the signer (`plumbline-registry sign`) first") from error
    except (RepositoryError, DownloadError) as error:
        raise UntrustedMetadata(f"the registry's metadata cannot be trusted: {error}; nothing was signed") from error


def rotate(client: RegistryClient, keys: KeysFolder, role: str, *, clear: bool = False) -> None:
    """Give a role a new key and end the old one; with `clear`, drop what a stolen channel key may have signed.

    Needs the keys of root (or, for a channel, of targets), and, to reach devices at once, those of the signer.
    """
    documents = read_documents(client, trusted_root(client, keys))
    channels_key = role in CHANNELS
    parent = TARGETS if channels_key else ROOT
    parent_signers = [keys.signer(parent)]
    new = type(parent_signers[0]).generate_ed25519()
    delegator = delegator_of(role, documents)
    for keyid in list(delegator.get_delegated_role(role).keyids):
        delegator.revoke_key(keyid, role)
    delegator.add_key(new.public_key, role)
    delegator.version += 1
    if role == ROOT:
        parent_signers.append(new)  # a new root is signed by the old keys and by its own
    changed = {parent: sign(parent, delegator, *parent_signers)}
    if role in (TARGETS, *CHANNELS):
        signed = signed_as(parse(role, documents[role].content), Targets)
        signed.version += 1
        if clear and channels_key:
            signed.targets.clear()
        changed[role] = sign(role, signed, new)
        verify(changed[role], delegator_of(role, changed))
    if role in (SNAPSHOT, TIMESTAMP):
        keys.store(role, new)
        refresh_live(client, keys, {**documents, **changed}, list(changed.values()), always=True)
    else:
        client.send_metadata(list(changed.values()))
        _retire(keys, role)
        keys.store(role, new)
        if keys.holds(SNAPSHOT, TIMESTAMP):
            refresh_live(client, keys, {**documents, **changed}, [])
    if parent == ROOT:
        keys.keep_root(changed[ROOT].content)


def _retire(keys: KeysFolder, role: str) -> None:
    if keys.holds(role):
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S")
        keys.store(f"retired-{role}-{stamp}", keys.signer(role))
