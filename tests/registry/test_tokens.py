"""Tokens: printed once, stored as hashes, ended by removal."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from plumbline_registry.errors import StorageUnavailable, Unauthorised, WritesDisabled
from plumbline_registry.tokens import InvalidTokenName, TokenVerifier, create_token, read_tokens_file


def test_token_is_known_by_its_name_and_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tokens.json"
    alice, bob = create_token(path, "alice"), create_token(path, "bob")
    verifier = TokenVerifier(path)
    assert (verifier.actor(alice), verifier.actor(bob)) == ("alice", "bob")
    assert alice not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["tokens.json"]


def test_new_token_of_a_name_ends_the_old_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    old = create_token(path)
    verifier = TokenVerifier(path)
    assert verifier.actor(old) == "publisher"
    new = create_token(path)
    with pytest.raises(Unauthorised):
        verifier.actor(old)
    assert verifier.actor(new) == "publisher"


def test_fixed_token_works_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = create_token(path, "alice")
    verifier = TokenVerifier(path, "a-fixed-token-of-a-container")
    assert verifier.actor(token) == "alice"
    assert verifier.actor("a-fixed-token-of-a-container") == "publisher"


def test_no_token_at_all(tmp_path: Path) -> None:
    with pytest.raises(WritesDisabled):
        TokenVerifier(tmp_path / "tokens.json").actor("anything")


@pytest.mark.parametrize("token", [None, "", "wrong", "häßlich"])
def test_unknown_token(token: str | None, tmp_path: Path) -> None:
    create_token(tmp_path / "tokens.json")
    with pytest.raises(Unauthorised):
        TokenVerifier(tmp_path / "tokens.json").actor(token)


def test_hash_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    create_token(path)
    with pytest.raises(Unauthorised):
        TokenVerifier(path).actor(read_tokens_file(path)["publisher"])


def test_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text("{")
    with pytest.raises(StorageUnavailable, match=r"tokens\.json"):
        TokenVerifier(path, "a-fixed-token-of-a-container").actor("a-fixed-token-of-a-container")


@pytest.mark.parametrize("name", ["", "Alice", "a b", "../x", "a\n", "x" * 65])
def test_name_that_would_not_read_well(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTokenName):
        create_token(tmp_path / "tokens.json", name)
    assert list(tmp_path.iterdir()) == []
