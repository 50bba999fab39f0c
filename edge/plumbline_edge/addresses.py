"""Addresses as a user gives them, which may be none, and as they may be shown, without a password."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from plumbline_edge.errors import InvalidSettings


def scheme_of(address: str) -> str:
    """What stands before ://, in lower case; empty where nothing does."""
    scheme, separator, _ = address.partition("://")
    return scheme.lower() if separator else ""


def without_password(url: str) -> str:
    """The URL with user, password and the query's values replaced by '***', fit for messages and metrics.

    Passwords hold #, / and @ too, so that whatever stands before the last @ counts as one.
    """
    scheme, separator, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    path, question, query = (place if at else rest).partition("?")
    values = "&".join(map(_without_value, query.split("&"))) if query else ""
    return f"{scheme}{separator}{'***@' if at else ''}{path}{question}{values}"


def _without_value(part: str) -> str:
    name, separator, _ = part.partition("=")
    return f"{name}=***" if separator else "***"


def without_brackets(host: str) -> str:
    """The host without those that an IPv6 address has in a URL, as a user may give it either way."""
    return host.strip("[]")


def require_url(name: str, url: str) -> None:
    """Raise InvalidSettings, without the URL and what may be secret in it, if `url` cannot be asked for."""
    try:
        urlsplit(url)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidSettings(f"{name} is no URL; give http://HOST:PORT, where HOST is a name or [IPv6]") from error
