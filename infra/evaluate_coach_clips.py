"""Prints docs/coach.md's tables of rendered clips: with noise as measured of the shipped model, or through its pixels.

python -m infra.evaluate_coach_clips FOLDER [--noise KIND | --errors NPZ | --found FOLDER of NAME.npy] [--details]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from infra.coach_eyes import Eye, add_eye, eye_of
from infra.evaluate_coach_ghosts import GhostScore
from infra.evaluate_coach_rendered import (
    HEAD,
    Score,
    clip_paths,
    details,
    exercise_of,
    follow,
    score_clip,
)

from plumbline_edge.coach import Coach, load_exercise


def evaluate(paths: list[Path], eye: Eye, with_details: bool) -> None:
    """Print counts, faults and correct poses by exercise."""
    scores: dict[str, Score] = {}
    ghosts = GhostScore()
    for number, path in enumerate(paths):
        clip = json.loads(path.read_bytes())
        exercise, fps = exercise_of(clip), float(clip["fps"])
        keypoints_TK3 = eye(path, clip, number)
        states = follow(keypoints_TK3, fps, Coach(exercise))
        ghosts.take(exercise, keypoints_TK3, states, fps)
        scores.setdefault(exercise.name, Score()).add(score_clip(clip, exercise, states))
        if with_details and (text := details(path, clip, exercise, states)):
            print(text)
    print(f"\n{HEAD}")
    total, counted = Score(), Score()
    for name, score in sorted(scores.items()):
        print(score.row(name))
        total.add(score)
        if load_exercise(name).repetition:
            counted.add(score)
    print(total.row("all"))
    print(counted.row("all that are counted"))
    print(f"\n| of {ghosts.drawn} correct poses | |\n|---|---|\n{ghosts.table()}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="evaluate_coach_clips", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="clips of plumbline-render")
    add_eye(parser)
    parser.add_argument("--except-exercise", default="", help="an exercise to leave out")
    parser.add_argument("--details", action="store_true", help="what was missed, told falsely and miscounted")
    arguments = parser.parse_args()
    paths = clip_paths(arguments.folders, arguments.found)
    if arguments.except_exercise:
        paths = [path for path in paths if json.loads(path.read_bytes())["exercise"] != arguments.except_exercise]
    evaluate(paths, eye_of(arguments), arguments.details)


if __name__ == "__main__":
    main()
