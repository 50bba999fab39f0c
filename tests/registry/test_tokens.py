"""Tokens: printed once, stored as hashes, ended by removal."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plumbline_registry.errors import Forbidden, StorageUnavailable, Unauthorised, WritesDisabled
from plumbline_registry.tokens import (
    InvalidTokenLife,
    InvalidTokenName,
    TokenVerifier,
    create_token,
    read_tokens_file,
    revoke_token,
)


def test_token_is_known_by_its_name_and_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tokens.json"
    alice, bob = create_token(path, "alice"), create_token(path, "bob")
    verifier = TokenVerifier(path)
    assert (verifier.grant(alice).name, verifier.grant(bob).name) == ("alice", "bob")
    assert alice not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["tokens.json"]


def test_new_token_of_a_name_ends_the_old_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    old = create_token(path)
    verifier = TokenVerifier(path)
    assert verifier.grant(old).name == "publisher"
    new = create_token(path)
    with pytest.raises(Unauthorised):
        verifier.grant(old)
    assert verifier.grant(new).name == "publisher"


def test_fixed_token_works_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = create_token(path, "alice")
    verifier = TokenVerifier(path, "a-fixed-token-of-a-container")
    assert verifier.grant(token).name == "alice"
    assert verifier.grant("a-fixed-token-of-a-container").name == "publisher"


def test_token_of_the_default_name_works_beside_the_fixed_one(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = create_token(path, scopes=("promote",))
    verifier = TokenVerifier(path, "a-fixed-token-of-a-container")
    assert verifier.grant(token).scopes == ("promote",)
    assert "admin" in verifier.grant("a-fixed-token-of-a-container").scopes


def test_no_token_at_all(tmp_path: Path) -> None:
    with pytest.raises(WritesDisabled):
        TokenVerifier(tmp_path / "tokens.json").grant("anything")


@pytest.mark.parametrize("token", [None, "", "wrong", "häßlich"])
def test_unknown_token(token: str | None, tmp_path: Path) -> None:
    create_token(tmp_path / "tokens.json")
    with pytest.raises(Unauthorised):
        TokenVerifier(tmp_path / "tokens.json").grant(token)


def test_hash_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    create_token(path)
    with pytest.raises(Unauthorised):
        TokenVerifier(path).grant(read_tokens_file(path)["publisher"].sha256)


def test_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text("{")
    with pytest.raises(StorageUnavailable, match=r"tokens\.json"):
        TokenVerifier(path, "a-fixed-token-of-a-container").grant("a-fixed-token-of-a-container")


@pytest.mark.parametrize("name", ["", "Alice", "a b", "../x", "a\n", "x" * 65])
def test_name_that_would_not_read_well(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTokenName):
        create_token(tmp_path / "tokens.json", name)
    assert list(tmp_path.iterdir()) == []


def test_token_is_good_for_its_scopes_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    grant = TokenVerifier(path).grant(create_token(path, "pi-07", ("device",)))
    assert grant.require("device").name == "pi-07"
    with pytest.raises(Forbidden, match="'pi-07' has the scopes device, this needs 'publish'"):
        grant.require("publish")


def test_token_ends_with_its_days_and_by_revocation(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    ended, living = create_token(path, "old", days=-1), create_token(path, "living")
    with pytest.raises(Unauthorised, match="'old' ended"):
        TokenVerifier(path).grant(ended)
    revoke_token(path, "living")
    with pytest.raises(Unauthorised, match="not known"):
        TokenVerifier(path).grant(living)
    with pytest.raises(InvalidTokenName, match="no token is called 'living'"):
        revoke_token(path, "living")


def test_tokens_made_at_once_are_all_known(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: create_token(path, f"pi-{number}", ("device",)), range(24)))
    assert [TokenVerifier(path).grant(token).name for token in made] == [f"pi-{number}" for number in range(24)]


def test_a_token_for_longer_than_any_calendar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTokenLife, match="99999999 days: no calendar goes so far"):
        create_token(tmp_path / "tokens.json", days=99999999)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_file_that_root_makes_stays_the_services(tmp_path: Path) -> None:
    """0600 and root's own, it would answer every writer with 503."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 4321, 4322)
    path = state / "tokens.json"
    create_token(path, "alice")
    assert (path.stat().st_uid, path.stat().st_gid) == (4321, 4322)
    os.chown(path, 4323, 4324)
    create_token(path, "bob")
    revoke_token(path, "alice")
    assert (path.stat().st_uid, path.stat().st_gid) == (4323, 4324)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
