"""What an operator or CI does with keys: set up, promote, renew, rotate.

Each trusts root.json and what that vouches for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Targets

from plumbline_contract.channel import CHANNELS, target_path
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.errors import ERRORS, Forbidden, MetadataConflict, UntrustedMetadata
from plumbline_registry.trust.acceptance import Entry
from plumbline_registry.trust.documents import Document, delegator_of, parse, signed_as, verify
from plumbline_registry.trust.keys import KeysFolder, KeysUnusable
from plumbline_registry.trust.roles import ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from plumbline_registry.trust.signer import (
    adopt_next,
    is_half_over,
    live_documents,
    read_documents,
    refresh_live,
    remember,
)
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
    """Make a key for every role that has none and send version 1 of everything.

    root.json comes last, so what broke off can be repeated. Raises KeysUnusable if it is there already, and
    MetadataConflict if the registry follows other keys.
    """
    if not keys.is_fresh():
        raise KeysUnusable(f"{str(keys.folder)!r} holds keys already; choose another folder with --keys, or `rotate`")
    if client.metadata_versions():
        keys.keep_root(_own_first_root(client, keys))
        return
    signers = {role: keys.signer(role) if keys.holds(role) else keys.generate(role) for role in ROLES}
    public = _public(signers)
    documents = {
        ROOT: sign(ROOT, first_root(public), signers[ROOT]),
        TARGETS: sign(TARGETS, first_targets(public), signers[TARGETS]),
    }
    documents.update({channel: sign(channel, Targets(), signers[channel]) for channel in CHANNELS})
    documents[SNAPSHOT] = next_snapshot(documents, 1, signers[SNAPSHOT])
    documents[TIMESTAMP] = next_timestamp(documents[SNAPSHOT], 1, signers[TIMESTAMP])
    client.send_metadata(list(documents.values()))
    keys.keep_root(documents[ROOT].content)


def _own_first_root(client: RegistryClient, keys: KeysFolder) -> bytes:
    """What an `init` whose answer was lost had sent. Raises MetadataConflict if these keys did not sign it."""
    others = "this registry has its metadata already; use the keys that were made for it"
    if not keys.holds(*ROLES):
        raise MetadataConflict(others)
    document = parse(ROOT, client.metadata(ROOT, 1))
    try:
        verify(document, first_root(_public({role: keys.signer(role) for role in ROLES})))
    except UntrustedMetadata as error:
        raise MetadataConflict(others) from error
    return document.content


def _public(signers: Mapping[str, CryptoSigner]) -> dict[str, Key]:
    return {role: signer.public_key for role, signer in signers.items()}


def promote(client: RegistryClient, keys: KeysFolder, entry: Entry) -> int:
    """Sign and send the channel's next version on top of what devices see; gives its version.

    What the channel gives already is signed again only where its document is past half its life; so is that of targets,
    whose key may be here. Raises KeysUnusable, UntrustedMetadata, and RequestRefused (`metadata_conflict`) if another
    came first.
    """
    if keys.next_signer(entry.channel) is not None:
        adopt_next(keys, read_documents(client, keys))
    signer = keys.signer(entry.channel)
    seen = _seen(client, keys, entry.channel)
    current = signed_as(seen, Targets)
    known = current.targets.get(target_path(entry.channel, entry.name))
    if known is None or known.hashes.get("sha256") != entry.manifest_sha256:
        document = sign(entry.channel, with_entry(current, entry), signer)
    elif is_half_over(seen):
        document = _signed_again(seen, signer)
    else:
        document = seen
    if document is not seen:
        client.send_metadata([document])
    if keys.holds(TARGETS):
        _renew_targets_if_able(client, keys)
    return document.version


def _renew_targets_if_able(client: RegistryClient, keys: KeysFolder) -> None:
    try:
        renew(client, keys, (TARGETS,))
    except RequestRefused as error:
        # CI promotes with a token that is good for channels alone; `renew` with another is still to come.
        if error.code != ERRORS[Forbidden].code:
            raise


def renew(client: RegistryClient, keys: KeysFolder, roles: Iterable[str] = (ROOT, TARGETS, *CHANNELS)) -> list[str]:
    """Sign again, unchanged, what is past half its life or expired, of the roles whose keys are here; gives these.

    Each is sent by itself, as tokens differ in what they may send. Raises KeysUnusable, UntrustedMetadata and
    RequestRefused.
    """
    documents = read_documents(client, keys)
    adopt_next(keys, documents)
    due = [role for role in roles if keys.holds(role) and is_half_over(documents[role])]
    for role in due:
        documents[role] = _signed_again(documents[role], keys.signer(role))
        client.send_metadata([documents[role]])
    if ROOT in due:
        keys.keep_root(documents[ROOT].content)
    return due


def _signed_again(document: Document, signer: CryptoSigner) -> Document:
    """Its next version, which says the same for longer."""
    signed = parse(document.role, document.content).metadata.signed
    signed.version += 1
    return sign(document.role, signed, signer)


def _seen(client: RegistryClient, keys: KeysFolder, channel: str) -> Document:
    try:
        return SeenRepository(client, keys).document(channel)
    except ExpiredMetadataError as error:
        raise UntrustedMetadata(
            f"{error}; nothing was signed. Where the role's key is, run `plumbline-registry renew`, or for snapshot and"
            " timestamp `plumbline-registry sign`"
        ) from error
    except (RepositoryError, DownloadError) as error:
        raise UntrustedMetadata(f"the registry's metadata cannot be trusted: {error}; nothing was signed") from error


def rotate(client: RegistryClient, keys: KeysFolder, role: str, *, clear: bool = False) -> None:
    """Give a role a new key and end the old one; with `clear`, drop what a stolen channel key may have signed.

    Needs the keys of root (or, for a channel, of targets), and, to reach devices at once, those of the signer. The new
    key is on the disk before it is sent; of a rotation that broke off, the next run keeps the key that was taken.
    """
    documents = read_documents(client, keys)
    adopt_next(keys, documents)
    new = CryptoSigner.generate_ed25519()
    changed = _with_key(keys, documents, role, new, clear=clear)
    documents |= changed
    sent, is_live = list(changed.values()), role in (SNAPSHOT, TIMESTAMP)
    if is_live:
        sent += live_documents(lambda name: new if name == role else keys.signer(name), documents, always=True)
    keys.store_next(role, new)
    client.send_metadata(sent)
    keys.replace(role, new)
    if ROOT in changed:
        keys.keep_root(changed[ROOT].content)
    remember(keys, sent)
    if not is_live and keys.holds(SNAPSHOT, TIMESTAMP):
        refresh_live(client, keys, documents)


def _with_key(
    keys: KeysFolder, documents: Mapping[str, Document], role: str, new: CryptoSigner, *, clear: bool
) -> dict[str, Document]:
    """The next version of who vouches for the role, naming its new key, and of the role itself where it must follow."""
    channels_key = role in CHANNELS
    parent = TARGETS if channels_key else ROOT
    parent_signers = [keys.signer(parent)]
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
    return changed
