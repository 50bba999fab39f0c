"""Signed metadata as bytes: parsed and verified with python-tuf, with its errors as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from plumbline_contract.channel import CHANNELS
from plumbline_registry.errors import InvalidMetadata, UntrustedMetadata
from plumbline_registry.trust.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP

_Kind = TypeVar("_Kind", bound=Signed)
_KINDS: Final[dict[str, type[Signed]]] = {
    ROOT: Root,
    SNAPSHOT: Snapshot,
    TIMESTAMP: Timestamp,
    TARGETS: Targets,
    **dict.fromkeys(CHANNELS, Targets),
}


@dataclass(frozen=True)
class Document:
    """One version of one role's metadata, exactly as it was signed."""

    role: str
    content: bytes
    metadata: Metadata[Any]

    @property
    def version(self) -> int:
        return int(self.metadata.signed.version)


def parse(role: str, content: bytes) -> Document:
    """Raises InvalidMetadata."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(content)
    except (DeserializationError, RepositoryError, ValueError) as error:
        raise InvalidMetadata(f"{role} metadata does not parse: {error}; sign it with plumbline-registry") from error
    if metadata.signed.type != _KINDS[role].type:
        raise InvalidMetadata(f"{role} metadata is of type {metadata.signed.type!r}, not {_KINDS[role].type!r}")
    return Document(role, content, metadata)


def verify(document: Document, delegator: Root | Targets) -> None:
    """Raise UntrustedMetadata unless enough of the role's keys signed the document."""
    try:
        delegator.verify_delegate(document.role, document.metadata.signed_bytes, document.metadata.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise UntrustedMetadata(
            f"{document.role} version {document.version}: {error}; sign it with the role's current keys"
        ) from error


def delegator_of(role: str, documents: Mapping[str, Document]) -> Root | Targets:
    """Who vouches for a role. Raises InvalidMetadata where that document is missing."""
    parent = TARGETS if role in CHANNELS else ROOT
    if parent not in documents:
        raise InvalidMetadata(f"{role} needs {parent} metadata first; run `plumbline-registry init`")
    signed = documents[parent].metadata.signed
    assert isinstance(signed, Root | Targets)  # noqa: S101
    return signed


def signed_as(document: Document, kind: type[_Kind]) -> _Kind:
    """The document's payload, of the type that its role has."""
    signed = document.metadata.signed
    assert isinstance(signed, kind), f"parse() made sure that {document.role} is {kind}"  # noqa: S101
    return signed
