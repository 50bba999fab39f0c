"""The page's texts: every language has them all, and all that the coach says."""

from __future__ import annotations

import json
import re

import pytest

from plumbline_edge.coach.exercises import exercise_names, load_exercise
from plumbline_edge.web.static import page_files

LANGUAGES = sorted(name for name in page_files() if name.startswith("messages/"))


def messages(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(page_files()[name].read_text("utf-8"))
    return found


def used_keys() -> set[str]:
    """The keys that the page asks for by name."""
    source = "\n".join(path.read_text("utf-8") for name, path in page_files().items() if not name.endswith(".json"))
    keys = re.findall(r'data-(?:text|label)="([\w.]+)"', source)
    prefixes = {key.partition(".")[0] for key in messages("messages/en.json")}
    literals = re.findall(r'"(\w+\.\w+)"', source)
    return {*keys, *(key for key in literals if key.partition(".")[0] in prefixes and not key.endswith(".js"))}


def test_every_text_that_is_used_is_there_and_no_other() -> None:
    english = set(messages("messages/en.json"))
    used = used_keys()
    assert used - english == {"plumbline.language", "plumbline.voice"} & used
    assert {key for key in english - used if not key.startswith("keys.")} == set()


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "messages/en.json"])
def test_a_language_has_every_text_with_the_same_places(name: str) -> None:
    english, other = messages("messages/en.json"), messages(name)
    assert {key for key in english if key not in other} == set()
    for key, words in english.items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", other[key])), key


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "messages/en.json"])
def test_a_language_has_all_that_the_coach_says(name: str) -> None:
    needed = {"name.looking", "name.calibrating"}
    for exercise in map(load_exercise, exercise_names()):
        needed.add(f"exercise.{exercise.name}")
        needed |= {f"coach.{words}" for words in (exercise.praise, exercise.turn_cue)}
        needed |= {f"coach.{fault.cue}" for fault in exercise.faults} | {
            f"name.{fault.name}" for fault in exercise.faults
        }
        phases = exercise.repetition.phases if exercise.repetition else exercise.hold.phases if exercise.hold else None
        needed |= {f"name.{phase}" for _, phase in phases or ()}
        if exercise.hold and exercise.hold.break_after_seconds:
            needed.add(f"coach.{exercise.hold.break_cue}")
    assert needed - set(messages(name)) == set()
