"""The commands that sign: init, promote, sign, renew, rotate. They run where keys are, never inside the registry."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from plumbline_contract.channel import CHANNELS
from plumbline_contract.manifest import VERSION_PATTERN
from plumbline_registry.cli_connection import add_connection, read_token
from plumbline_registry.cli_numbers import within
from plumbline_registry.client import RegistryClient, RegistryUnreachable, RequestRefused
from plumbline_registry.errors import ERRORS, InvalidRequest, MetadataConflict, RegistryError, UntrustedMetadata
from plumbline_registry.settings import ENV_PREFIX
from plumbline_registry.trust.acceptance import MAX_REASON, Entry
from plumbline_registry.trust.keys import ROOT_FILE, KeysFolder
from plumbline_registry.trust.operator import initialise, promote, renew, rotate
from plumbline_registry.trust.roles import ROLES, SNAPSHOT, TIMESTAMP
from plumbline_registry.trust.signer import sign_once

KEYS_VARIABLE: Final = f"{ENV_PREFIX}KEYS"
DEFAULT_KEYS: Final = "keys"
_ATTEMPTS: Final = 5
_SIGNER_SECONDS: Final = 30.0


class SignerAbsent(RegistryError):
    """Nothing publishes what was signed."""


def add_trust_commands(commands: Any) -> None:
    """Add the signing commands to the program's."""
    _add_init(commands.add_parser("init", help="make the keys of every role and the first signed metadata"))
    _add_promote(commands.add_parser("promote", help="sign that a channel gives a version from now on"))
    _add_sign(commands.add_parser("sign", help="publish what was signed: new snapshot and timestamp"))
    _add_renew(commands.add_parser("renew", help="sign again what is past half its life, with the keys that are here"))
    _add_rotate(commands.add_parser("rotate", help="give a role a new key and end its old one"))


def _add_init(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    parser.set_defaults(command=_init)


def _add_promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("channel", metavar="CHANNEL", choices=CHANNELS, help="dev, canary or stable")
    parser.add_argument("--reason", required=True, help="why; is signed and stands in the channel's history")
    parser.add_argument("--sha256", help="the manifest's digest that `publish` printed: sign nothing else")
    parser.add_argument(
        "--waive-gates", action="store_true", help="sign that it passes whatever the gates say; token of scope admin"
    )
    _add_keys(parser)
    parser.set_defaults(command=_promote)


def _add_sign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every", type=within(float, 0.1, 86400.0), metavar="SECONDS", help="go on, looking this often; else once"
    )
    _add_keys(parser)
    parser.set_defaults(command=_sign)


def _add_renew(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    parser.set_defaults(command=_renew)


def _add_rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", metavar="ROLE", choices=ROLES, help=", ".join(ROLES))
    parser.add_argument(
        "--clear", action="store_true", help="a channel's stolen key: also drop everything it gives; promote again"
    )
    _add_keys(parser)
    parser.set_defaults(command=_rotate)


def _add_keys(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get(KEYS_VARIABLE, DEFAULT_KEYS))
    parser.add_argument("--keys", type=Path, default=default, help="folder of root.json and private/ (%(default)s)")
    add_connection(parser, writes=True)


def _connect(arguments: argparse.Namespace) -> RegistryClient:
    return RegistryClient(arguments.url, read_token(arguments.token_file))


def _init(arguments: argparse.Namespace) -> None:
    with _connect(arguments) as client:
        initialise(client, KeysFolder(arguments.keys))
    print(f"keys are in {arguments.keys / 'private'}; devices trust {arguments.keys / ROOT_FILE}: copy it to them")


def _promote(arguments: argparse.Namespace) -> None:
    keys = KeysFolder(arguments.keys)
    with _connect(arguments) as client:
        entry = _entry(client, arguments)
        version = _retrying(client, keys, entry)
        _await_signer(client, keys, entry.channel, version)
    print(f"{entry.name} {entry.channel} gives {entry.version}, manifest sha256 {entry.manifest_sha256}")


def _entry(client: RegistryClient, arguments: argparse.Namespace) -> Entry:
    """What shall be signed. Raises InvalidRequest, UntrustedMetadata."""
    if re.fullmatch(VERSION_PATTERN, arguments.version) is None:
        raise InvalidRequest(f"version {arguments.version!r}: give a semantic version such as '1.4.0'")
    reason = arguments.reason.strip()
    if not 0 < len(reason) <= MAX_REASON:
        raise InvalidRequest(f"reason {reason!r}: give 1 to {MAX_REASON} characters")
    expected = arguments.sha256 or client.version(arguments.name, arguments.version).manifest_sha256
    manifest = client.manifest(arguments.name, arguments.version)
    if (actual := hashlib.sha256(manifest).hexdigest()) != expected:
        raise UntrustedMetadata(f"the registry's manifest is {actual!r}, not {expected!r}; nothing was signed")
    waives = arguments.waive_gates
    return Entry(arguments.channel, arguments.name, arguments.version, expected, len(manifest), reason, waives)


def _retrying(client: RegistryClient, keys: KeysFolder, entry: Entry) -> int:
    """Another operator may be first: then the change is made again on top of theirs, once that is published."""
    deadline = time.monotonic() + _SIGNER_SECONDS
    attempt = 0
    while True:
        try:
            return promote(client, keys, entry)
        except RequestRefused as error:
            if error.code != ERRORS[MetadataConflict].code:
                raise
            publishes = _publish_if_able(client, keys)
            if attempt >= _ATTEMPTS - 1 and (publishes or time.monotonic() > deadline):
                newest = client.metadata_versions()[entry.channel]
                if client.channel_is_live(entry.channel, newest):
                    raise
                raise _signer_absent(entry.channel, newest) from error
            time.sleep(min(0.2 * 2**attempt, 2.0))
            attempt += 1


def _signer_absent(channel: str, version: int) -> SignerAbsent:
    return SignerAbsent(
        f"{channel} {version} was accepted, but no signer published it within {_SIGNER_SECONDS:.0f} s; start"
        " `plumbline-registry sign --every 10` where the snapshot and timestamp keys are"
    )


def _await_signer(client: RegistryClient, keys: KeysFolder, channel: str, version: int) -> None:
    """Publish here if the signer's keys are here, else wait until the signer did. Raises SignerAbsent."""
    deadline = time.monotonic() + _SIGNER_SECONDS
    while not _publish_if_able(client, keys) and not client.channel_is_live(channel, version):
        if time.monotonic() > deadline:
            raise _signer_absent(channel, version)
        time.sleep(0.5)


def _publish_if_able(client: RegistryClient, keys: KeysFolder) -> bool:
    if not keys.holds(SNAPSHOT, TIMESTAMP):
        return False
    for attempt in range(_ATTEMPTS):
        try:
            sign_once(client, keys)
        except RequestRefused as error:
            if error.code != ERRORS[MetadataConflict].code:
                raise
            time.sleep(0.2 * 2**attempt)
        else:
            return True
    return False


def _sign(arguments: argparse.Namespace) -> None:
    keys = KeysFolder(arguments.keys)
    with _connect(arguments) as client:
        while True:
            try:
                print("signed" if sign_once(client, keys) else "nothing to sign", flush=True)
            except (RegistryUnreachable, RequestRefused, UntrustedMetadata) as error:
                if arguments.every is None:
                    raise
                print(f"error: {error}", file=sys.stderr, flush=True)
            if arguments.every is None:
                return
            time.sleep(arguments.every)


def _renew(arguments: argparse.Namespace) -> None:
    keys = KeysFolder(arguments.keys)
    with _connect(arguments) as client:
        renewed = renew(client, keys)
        _publish_if_able(client, keys)
    print(f"signed again: {', '.join(renewed)}" if renewed else "nothing to renew with the keys that are here")


def _rotate(arguments: argparse.Namespace) -> None:
    with _connect(arguments) as client:
        rotate(client, KeysFolder(arguments.keys), arguments.role, clear=arguments.clear)
    print(f"{arguments.role} has a new key in {arguments.keys / 'private'}; its old one is worth nothing any more")
