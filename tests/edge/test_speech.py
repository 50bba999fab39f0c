"""Cues said aloud by a program that stands in for espeak-ng, and by espeak-ng itself where it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline_edge.errors import InvalidSettings
from plumbline_edge.speech import Speaker


def install(folder: Path, script: str) -> Path:
    program = folder / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return folder / "said"


def test_a_cue_is_said_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = install(tmp_path, f'for last; do :; done; echo "$last" >> {tmp_path}/said')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    speaker = Speaker()
    for cue in ("Go lower", "-w; rm $HOME"):
        speaker.say(cue)
        speaker.wait()
    assert said.read_text().splitlines() == ["Go lower", "-w; rm $HOME"]


def test_what_comes_while_something_is_said_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = install(tmp_path, f"echo . >> {tmp_path}/said; read -r _ < {tmp_path}/go")
    (tmp_path / "go").touch()
    (tmp_path / "go").unlink()
    import os

    os.mkfifo(tmp_path / "go")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    speaker = Speaker()
    speaker.say("Chest up")
    speaker.say("Go lower")
    (tmp_path / "go").write_text("go\n")
    speaker.wait()
    assert said.read_text().splitlines() == ["."]


def test_without_espeak_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidSettings, match="apt install espeak-ng"):
        Speaker()


def test_a_program_that_goes_away_is_told_of_once_and_may_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = list[str]()
    monkeypatch.setattr("plumbline_edge.speech.warn", warnings.append)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = install(tmp_path, f"echo . >> {tmp_path}/said")
    speaker = Speaker()
    (tmp_path / "espeak-ng").unlink()
    speaker.say("Go lower")
    speaker.say("Chest up")
    assert warnings == [f"cues are not spoken: {tmp_path}/espeak-ng: No such file or directory; apt install espeak-ng"]
    install(tmp_path, f"echo . >> {tmp_path}/said")
    speaker.say("Go lower")
    speaker.wait()
    assert said.read_text().splitlines() == ["."]
