"""Everything the registry refuses, and how each refusal looks over HTTP: class -> code -> status, all in this file."""

from __future__ import annotations

from typing import Final, NamedTuple

from plumbline_contract.errors import (
    DigestMismatch,
    InvalidEvaluation,
    InvalidManifest,
    PlumblineError,
    UnpublishableBundle,
)


class RegistryError(PlumblineError):
    """Base of what the registry itself refuses or cannot do."""


class InvalidRequest(RegistryError):
    """A path, query or JSON body does not have the documented shape."""


class UploadInterrupted(RegistryError):
    """The client went away before its upload was complete."""


class UploadStalled(RegistryError):
    """The client stopped sending in the middle of an upload."""


class Unauthorised(RegistryError):
    """A write came without a token, or with one that is not known."""


class Forbidden(RegistryError):
    """The token is known, and not good for this."""


class WritesDisabled(RegistryError):
    """No token exists, so nobody may write."""


class UnknownBundle(RegistryError):
    """No version of a bundle with this name was ever published."""


class UnknownVersion(RegistryError):
    """The bundle exists, this version of it does not."""


class UnknownBlob(RegistryError):
    """No blob with this digest is stored."""


class ChannelEmpty(RegistryError):
    """The channel of this bundle has never been set."""


class UnknownMetadata(RegistryError):
    """No signed metadata of this role and version is here."""


class InvalidMetadata(RegistryError):
    """Signed metadata does not parse, or says what it may not say."""


class UntrustedMetadata(RegistryError):
    """Metadata is not signed by enough of its role's keys."""


class MetadataConflict(RegistryError):
    """Somebody else's metadata came first; the change must be made again on top of it."""


class VersionExists(RegistryError):
    """The version was published before with other contents; versions never change."""


class VersionInUse(RegistryError):
    """A version that a channel gave cannot be deleted."""


class UploadTooLarge(RegistryError):
    """The body is larger than the registry takes."""


class QuotaExceeded(RegistryError):
    """All versions together are larger than this registry may hold."""


class GateRefused(RegistryError):
    """A bundle is not good enough for the channel, or does not carry what would show that it is."""


class TooManyRequests(RegistryError):
    """An address asks more often than it may."""


class MalformedUpload(RegistryError):
    """The body is not a tar of exactly the files of a bundle."""


class WrongAddress(RegistryError):
    """The manifest names another bundle or version than the URL."""


class UnsatisfiableRange(RegistryError):
    """The Range header asks for bytes that the blob does not have."""


class StorageFull(RegistryError):
    """The disk under the blobs or the database is full."""


class StorageUnavailable(RegistryError):
    """The database or the blob folder cannot be used."""


class ErrorSpec(NamedTuple):
    """How an error class looks over HTTP."""

    code: str
    status: int


ERRORS: Final[dict[type[PlumblineError], ErrorSpec]] = {
    UploadInterrupted: ErrorSpec("upload_interrupted", 400),
    Unauthorised: ErrorSpec("unauthorised", 401),
    WritesDisabled: ErrorSpec("writes_disabled", 403),
    Forbidden: ErrorSpec("forbidden", 403),
    UntrustedMetadata: ErrorSpec("untrusted_metadata", 403),
    UnknownBundle: ErrorSpec("unknown_bundle", 404),
    UnknownVersion: ErrorSpec("unknown_version", 404),
    UnknownBlob: ErrorSpec("unknown_blob", 404),
    ChannelEmpty: ErrorSpec("channel_empty", 404),
    UnknownMetadata: ErrorSpec("unknown_metadata", 404),
    UploadStalled: ErrorSpec("upload_stalled", 408),
    VersionExists: ErrorSpec("version_exists", 409),
    VersionInUse: ErrorSpec("version_in_use", 409),
    MetadataConflict: ErrorSpec("metadata_conflict", 409),
    UploadTooLarge: ErrorSpec("upload_too_large", 413),
    UnsatisfiableRange: ErrorSpec("unsatisfiable_range", 416),
    InvalidRequest: ErrorSpec("invalid_request", 422),
    InvalidMetadata: ErrorSpec("invalid_metadata", 422),
    MalformedUpload: ErrorSpec("malformed_upload", 422),
    InvalidManifest: ErrorSpec("invalid_manifest", 422),
    UnpublishableBundle: ErrorSpec("unpublishable_bundle", 422),
    WrongAddress: ErrorSpec("wrong_address", 422),
    DigestMismatch: ErrorSpec("digest_mismatch", 422),
    InvalidEvaluation: ErrorSpec("invalid_evaluation", 422),
    GateRefused: ErrorSpec("gate_refused", 422),
    TooManyRequests: ErrorSpec("too_many_requests", 429),
    StorageUnavailable: ErrorSpec("storage_unavailable", 503),
    StorageFull: ErrorSpec("storage_full", 507),
    QuotaExceeded: ErrorSpec("quota_exceeded", 507),
}

NO_ROUTE: Final = ErrorSpec("no_such_route", 404)
NO_METHOD: Final = ErrorSpec("method_not_allowed", 405)
BAD_REQUEST: Final = ErrorSpec("bad_request", 400)
INTERNAL: Final = ErrorSpec("internal_error", 500)
FRAMEWORK_ERRORS: Final = (NO_ROUTE, NO_METHOD, BAD_REQUEST, INTERNAL)
"""What the web framework, not our code, refuses."""


def spec_of(error: PlumblineError) -> ErrorSpec:
    """The entry of the error's class, or of its nearest base that has one."""
    return next((ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS), INTERNAL)
