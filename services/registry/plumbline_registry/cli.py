"""`plumbline-registry`: serve a registry, and publish to one."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, get_args

from pydantic import ValidationError

from plumbline_contract.errors import PlumblineError
from plumbline_registry.bundle_directory import read_bundle_directory
from plumbline_registry.client import RegistryClient
from plumbline_registry.errors import InvalidRequest, RegistryError
from plumbline_registry.models import Channel, ChannelInfo, PromotionRequest
from plumbline_registry.server import load_settings, serve
from plumbline_registry.settings import ENV_PREFIX
from plumbline_registry.tokens import DEFAULT_NAME, create_token

TOKEN_VARIABLE: Final = f"{ENV_PREFIX}TOKEN"
URL_VARIABLE: Final = f"{ENV_PREFIX}URL"
DEFAULT_URL: Final = "http://127.0.0.1:8100"
_EXAMPLES: Final = f"""\
examples:
  plumbline-registry token > publisher.token
  plumbline-registry serve --port 8100
  plumbline-registry publish models/hrnet-edge-s --token-file publisher.token
  plumbline-registry promote hrnet-edge-s 1.0.0 stable --reason "first release" --token-file publisher.token
  plumbline-registry list
  plumbline-registry list hrnet-edge-s

Writing needs a token: --token-file FILE, or the variable {TOKEN_VARIABLE}. The server's settings are
variables {ENV_PREFIX}* too (see the README).
"""


class InvalidToken(RegistryError):
    """The publisher gave no token, or something that is none."""


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr if something the user can mend is wrong."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except PlumblineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; what was not confirmed may not have happened, see with `list`", file=sys.stderr)
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plumbline-registry",
        description="Keeps model bundles: immutable versions, and channels that say which one a fleet runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run the registry"))
    _add_token(commands.add_parser("token", help="make a write token, printed once; an earlier one of that name ends"))
    _add_publish(commands.add_parser("publish", help="check a bundle directory and send it"))
    _add_promote(commands.add_parser("promote", help="move a channel to a version"))
    _add_list(commands.add_parser("list", help="show bundles, or the versions of one"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (8100)")
    parser.add_argument("--database-url", help="SQLAlchemy URL (sqlite:///var/registry/registry.sqlite3)")
    parser.add_argument("--blob-dir", help="folder of the blobs (var/registry/blobs)")
    parser.add_argument("--tokens-file", help="names and hashes of write tokens (var/registry/tokens.json)")
    parser.add_argument("--max-bundle-bytes", type=int, help="largest upload (100000000)")
    parser.set_defaults(command=_serve)


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT_NAME, help="who it is for; stands in the history (%(default)s)")
    parser.add_argument("--tokens-file", help="the server's file of hashes (var/registry/tokens.json)")
    parser.set_defaults(command=_token)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="directory with manifest.json and its files")
    _add_connection(parser, writes=True)
    parser.set_defaults(command=_publish)


def _add_promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("channel", metavar="CHANNEL", choices=get_args(Channel), help="dev, canary or stable")
    parser.add_argument("--reason", required=True, help="why; stands in the channel's history")
    _add_connection(parser, writes=True)
    parser.set_defaults(command=_promote)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this bundle's versions")
    _add_connection(parser, writes=False)
    parser.set_defaults(command=_list)


def _add_connection(parser: argparse.ArgumentParser, *, writes: bool) -> None:
    parser.add_argument("--url", default=os.environ.get(URL_VARIABLE, DEFAULT_URL), help="the registry (%(default)s)")
    if writes:
        parser.add_argument("--token-file", type=Path, help=f"file with the write token (else ${TOKEN_VARIABLE})")


def _serve(arguments: argparse.Namespace) -> None:
    names = ("host", "port", "database_url", "blob_dir", "tokens_file", "max_bundle_bytes")
    serve(load_settings(**{name: getattr(arguments, name) for name in names}))


def _token(arguments: argparse.Namespace) -> None:
    path = load_settings(tokens_file=arguments.tokens_file).tokens_file
    print(create_token(path, arguments.name))
    print(f"token {arguments.name!r}: its hash is in {path}; it is not shown again", file=sys.stderr)


def _publish(arguments: argparse.Namespace) -> None:
    bundle = read_bundle_directory(arguments.bundle)
    with RegistryClient(arguments.url, _read_token(arguments.token_file)) as registry:
        info, outcome = registry.publish(bundle)
    done = "published" if outcome == "created" else "already there:"
    print(f"{done} {info.name} {info.version}, {bundle.size_bytes} bytes, manifest sha256 {info.manifest_sha256}")


def _promote(arguments: argparse.Namespace) -> None:
    try:
        request = PromotionRequest(version=arguments.version, reason=arguments.reason)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{first['loc'][0]} {first['input']!r}: {first['msg']}") from error
    with RegistryClient(arguments.url, _read_token(arguments.token_file)) as registry:
        info = registry.promote(arguments.name, arguments.channel, request)
    print(f"{info.name} {info.channel} gives {info.version} since {info.updated_at:%Y-%m-%d %H:%M:%S} UTC")


def _list(arguments: argparse.Namespace) -> None:
    with RegistryClient(arguments.url) as registry:
        if arguments.name is None:
            for bundle in registry.bundles().bundles:
                channels = _channel_text(registry.channels(bundle.name))
                print(f"{bundle.name}  {bundle.versions} version(s), latest {bundle.latest}{channels}")
            return
        channels_now = list(registry.channels(arguments.name))
        for info in registry.versions(arguments.name).versions:
            size = sum(file.size_bytes for file in info.files.values())
            given_by = " ".join(channel.channel for channel in channels_now if channel.version == info.version)
            print(f"{info.version}  {info.created_at:%Y-%m-%d %H:%M}  {size} bytes  {info.manifest_sha256}  {given_by}")


def _channel_text(channels: Iterable[ChannelInfo]) -> str:
    return "".join(f"  {info.channel}={info.version}" for info in channels)


def _read_token(path: Path | None) -> str:
    """The token from the file, else from the environment. Raises InvalidToken."""
    where = f"token file {str(path)!r}" if path else f"variable {TOKEN_VARIABLE}"
    try:
        token = (path.read_text() if path else os.environ.get(TOKEN_VARIABLE, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidToken(f"{where} cannot be read: {error}") from error
    if not token:
        raise InvalidToken(f"{where} holds no token; give --token-file FILE or set {TOKEN_VARIABLE}")
    if re.fullmatch(r"[!-~]+", token) is None:
        raise InvalidToken(f"{where} holds more than one word; it should hold what `plumbline-registry token` printed")
    return token


if __name__ == "__main__":
    sys.exit(main())
