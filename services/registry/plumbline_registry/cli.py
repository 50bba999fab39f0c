"""`plumbline-registry`: serve a registry, and publish to one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

from plumbline_contract.errors import PlumblineError
from plumbline_registry.bundle_directory import read_bundle_directory
from plumbline_registry.catalogue import Catalogue
from plumbline_registry.cli_connection import TOKEN_VARIABLE, add_connection, read_token
from plumbline_registry.cli_numbers import within
from plumbline_registry.cli_trust import add_trust_commands
from plumbline_registry.client import RegistryClient
from plumbline_registry.database import open_engine
from plumbline_registry.gc import MIN_AGE, collect_garbage
from plumbline_registry.leases import Leases
from plumbline_registry.models import ChannelInfo
from plumbline_registry.server import load_settings, serve
from plumbline_registry.settings import ENV_PREFIX
from plumbline_registry.stores.opening import open_store
from plumbline_registry.tokens import DEFAULT_NAME, DEFAULT_SCOPES, SCOPES, create_token, revoke_token

MOST_SECONDS: Final = 1e9
MOST_DAYS: Final = 36_500
_EXAMPLES: Final = f"""\
examples:
  plumbline-registry token --scope admin --scope publish --scope promote --scope sign > operator.token
  plumbline-registry serve --port 8100
  plumbline-registry init --keys keys --token-file operator.token
  plumbline-registry publish models/hrnet-edge-s --token-file operator.token
  plumbline-registry promote hrnet-edge-s 0.4.0 stable --reason "first release" --keys keys --token-file operator.token
  plumbline-registry list
  plumbline-registry list hrnet-edge-s
  plumbline-registry compare hrnet-edge-s 0.4.0 0.5.0

Writing needs a token: --token-file FILE, or the variable {TOKEN_VARIABLE}. The server's settings are
variables {ENV_PREFIX}* too (see the README).
"""


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
    add_trust_commands(commands)
    _add_gc(commands.add_parser("gc", help="remove blobs that no version names; safe while the registry serves"))
    _add_list(commands.add_parser("list", help="show bundles, or the versions of one"))
    _add_compare(commands.add_parser("compare", help="show two versions of a bundle beside each other"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (8100)")
    parser.add_argument("--database-url", help="SQLAlchemy URL (sqlite:///var/registry/registry.sqlite3)")
    parser.add_argument("--blob-dir", help="folder of the blobs (var/registry/blobs)")
    parser.add_argument("--tokens-file", help="names and hashes of write tokens (var/registry/tokens.json)")
    parser.add_argument("--max-bundle-bytes", type=int, help="largest upload (300000000)")
    parser.set_defaults(command=_serve)


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT_NAME, help="who it is for; stands in the history (%(default)s)")
    parser.add_argument(
        "--scope", action="append", choices=SCOPES, help=f"what it is good for ({', '.join(DEFAULT_SCOPES)}); repeat it"
    )
    parser.add_argument("--days", type=within(int, 1, MOST_DAYS), default=365, help="how long it lasts (%(default)s)")
    parser.add_argument("--revoke", action="store_true", help="end the token of this name instead")
    parser.add_argument("--tokens-file", help="the server's file of hashes (var/registry/tokens.json)")
    parser.set_defaults(command=_token)


def _add_gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database-url", help="SQLAlchemy URL (sqlite:///var/registry/registry.sqlite3)")
    parser.add_argument("--blob-dir", help="folder of the blobs (var/registry/blobs)")
    parser.add_argument(
        "--min-age-seconds",
        type=within(float, -MOST_SECONDS, MOST_SECONDS),
        default=MIN_AGE.total_seconds(),
        help="spare younger ones (%(default)s); those of a publish under way are spared always",
    )
    parser.set_defaults(command=_gc)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="directory with manifest.json and its files")
    add_connection(parser, writes=True)
    parser.set_defaults(command=_publish)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this bundle's versions")
    add_connection(parser, writes=False)
    parser.set_defaults(command=_list)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("before", metavar="VERSION")
    parser.add_argument("after", metavar="VERSION")
    add_connection(parser, writes=False)
    parser.set_defaults(command=_compare)


def _serve(arguments: argparse.Namespace) -> None:
    names = ("host", "port", "database_url", "blob_dir", "tokens_file", "max_bundle_bytes")
    serve(load_settings(**{name: getattr(arguments, name) for name in names}))


def _token(arguments: argparse.Namespace) -> None:
    path = load_settings(tokens_file=arguments.tokens_file).tokens_file
    if arguments.revoke:
        revoke_token(path, arguments.name)
        print(f"token {arguments.name!r} is revoked", file=sys.stderr)
        return
    scopes = arguments.scope or DEFAULT_SCOPES
    print(create_token(path, arguments.name, scopes, arguments.days))
    print(
        f"token {arguments.name!r} for {', '.join(scopes)}, {arguments.days} days: its hash is in {path}; it is not"
        " shown again",
        file=sys.stderr,
    )


def _gc(arguments: argparse.Namespace) -> None:
    settings = load_settings(database_url=arguments.database_url, blob_dir=arguments.blob_dir)
    engine, blobs = open_engine(settings.database_url), open_store(settings)
    min_age = timedelta(seconds=arguments.min_age_seconds)
    try:
        removed, size_bytes = collect_garbage(Catalogue(engine), Leases(engine), blobs, min_age)
    finally:
        blobs.close()
        engine.dispose()
    print(f"removed {removed} blob(s), {size_bytes} bytes")


def _publish(arguments: argparse.Namespace) -> None:
    bundle = read_bundle_directory(arguments.bundle)
    with RegistryClient(arguments.url, read_token(arguments.token_file)) as registry:
        info, outcome = registry.publish(bundle)
    done = "published" if outcome == "created" else "already there:"
    print(f"{done} {info.name} {info.version}, {bundle.size_bytes} bytes, manifest sha256 {info.manifest_sha256}")


def _list(arguments: argparse.Namespace) -> None:
    with RegistryClient(arguments.url) as registry:
        if arguments.name is None:
            for bundle in registry.bundles():
                channels = _channel_text(registry.channels(bundle.name))
                print(f"{bundle.name}  {bundle.versions} version(s), latest {bundle.latest}{channels}")
            return
        channels_now = list(registry.channels(arguments.name))
        for info in registry.versions(arguments.name):
            given_by = " ".join(channel.channel for channel in channels_now if channel.version == info.version)
            facts = f"{info.created_at:%Y-%m-%d %H:%M}  {info.size_bytes} bytes  {info.manifest_sha256}"
            print(f"{info.version}  {facts}  {given_by}")


def _compare(arguments: argparse.Namespace) -> None:
    with RegistryClient(arguments.url) as registry:
        found = registry.compare(arguments.name, arguments.before, arguments.after)
    for figure in found.metrics:
        change = "" if figure.change is None else f"  {figure.change:+.6g}"
        print(f"{figure.field}: {_number(figure.before)} -> {_number(figure.after)}{change}")
    for difference in (*found.lineage, *found.other):
        print(f"{difference.field}: {difference.before or '-'} -> {difference.after or '-'}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _channel_text(channels: Iterable[ChannelInfo]) -> str:
    return "".join(f"  {info.channel}={info.version}" for info in channels)


if __name__ == "__main__":
    sys.exit(main())
