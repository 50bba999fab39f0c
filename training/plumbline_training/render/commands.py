"""What each command of plumbline-render does; all need the extra `render`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from plumbline_training.render import jobs
from plumbline_training.render.attributes import table
from plumbline_training.render.backgrounds import photographs
from plumbline_training.render.check import compare
from plumbline_training.render.clips import ClipJob, write_clips
from plumbline_training.render.gallery import write_gallery
from plumbline_training.render.lift import load_prior
from plumbline_training.render.motion import known_motions, load_motions
from plumbline_training.render.pictures import ANNOTATIONS, PictureJob, Sources, write_pictures
from plumbline_training.render.squats import write_squats
from plumbline_training.render.supports import JOINTS, SIDED

CLIPS_FOLDER: Final = "clips"


def _ready(arguments: argparse.Namespace) -> None:
    """Opens every file of the user's before the processes start, so that a wrong one is a line and no traceback."""
    load_motions(arguments.exercises)
    if getattr(arguments, "poses", None) is not None:
        load_prior(arguments.poses)
    if arguments.backgrounds is not None:
        photographs(arguments.backgrounds)


def _pictures(arguments: argparse.Namespace, count: int) -> str:
    job = PictureJob(arguments.out, arguments.seed, arguments.poses, arguments.backgrounds, arguments.exercises)
    made = write_pictures(job, count, arguments.workers, arguments.quiet)
    size = jobs.megabytes(jobs.folder_size(arguments.out / "images"))
    return f"{arguments.out / ANNOTATIONS}: {count} pictures, {size}; {made.rate('picture')}"


def _clips(arguments: argparse.Namespace, out: Path, count: int) -> str:
    job = ClipJob(
        out,
        arguments.seed,
        arguments.fps,
        not getattr(arguments, "keypoints_only", False),
        getattr(arguments, "exercise", None),
        getattr(arguments, "fault", None),
        arguments.backgrounds,
        arguments.exercises,
    )
    made = write_clips(job, count, arguments.workers, arguments.quiet)
    return f"{out}: {count} clips, {jobs.megabytes(jobs.folder_size(out))}; {made.rate('clip')}"


def images(arguments: argparse.Namespace) -> str:
    """Pictures."""
    _ready(arguments)
    return _pictures(arguments, arguments.count)


def clips(arguments: argparse.Namespace) -> str:
    """Clips."""
    _ready(arguments)
    return _clips(arguments, arguments.out, arguments.count)


def everything(arguments: argparse.Namespace) -> str:
    """Pictures, then clips."""
    _ready(arguments)
    lines = []
    if arguments.pictures:
        lines.append(_pictures(arguments, arguments.pictures))
    if arguments.clips:
        lines.append(_clips(arguments, arguments.out / CLIPS_FOLDER, arguments.clips))
    return "\n".join([*lines, f"look at it: plumbline-render gallery {arguments.out}"])


def gallery(arguments: argparse.Namespace) -> str:
    """The page."""
    return f"wrote {write_gallery(arguments.folder, arguments.count)}"


def check(arguments: argparse.Namespace) -> str:
    """The realism check."""
    return compare(arguments.folder, arguments.real, arguments.real_images, arguments.model, arguments.count)


def attributes(arguments: argparse.Namespace) -> str:
    """For whom a model works."""
    return table(arguments.model, Sources(known_motions()), arguments.seed, arguments.count, arguments.quiet)


def exercises(arguments: argparse.Namespace) -> str:
    """Names of exercises and faults."""
    return "\n".join(
        f"{name}: {', '.join(fault.name for fault in motion.faults)}" for name, motion in known_motions().items()
    )


def joints(arguments: argparse.Namespace) -> str:
    """Names of joints and what they mean."""
    whole = [f"  {name:14} {meaning}" for name, meaning in JOINTS.items()]
    sided = [f"  {name:14} {meaning}" for name, meaning in SIDED.items()]
    return "\n".join(["of the whole body:", *whole, "of each side (NAME.L, NAME.R; a bare name sets both):", *sided])


def squats(arguments: argparse.Namespace) -> str:
    """The sample clip."""
    return f"wrote {write_squats(arguments.out, arguments.seed)}"


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], str]]] = {
    "all": everything,
    "images": images,
    "clips": clips,
    "gallery": gallery,
    "check": check,
    "attributes": attributes,
    "exercises": exercises,
    "joints": joints,
    "squats": squats,
}
