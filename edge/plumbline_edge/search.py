"""Where a lost person is looked for, and whom to take when several are found."""

from __future__ import annotations

from typing import Literal

from plumbline_contract.box import Box

Whom = Literal["largest", "left", "right"]
Round = tuple[Box, ...]
"""The regions looked at in one picture."""


def search_rounds(height: int, width: int, whom: Whom, *, turned: bool) -> tuple[Round, ...]:
    """Rounds of at most two regions, one a picture, so that everything is looked at within three pictures.

    A whole wide picture shows a standing person small, so upright regions of its full height come beside it; a lying
    person is looked for in the whole picture, turned by a quarter both ways.
    """
    whole = Box.whole_image(height, width)
    lying = tuple(Box(whole.centre_x, whole.centre_y, height, width, angle) for angle in (90.0, -90.0))
    rounds: tuple[Round, ...] = ((whole,),)
    side = round(height * 0.75)
    if width > side:
        middle = Box(whole.centre_x, whole.centre_y, side, height)
        left = Box((side - 1) / 2, whole.centre_y, side, height)
        right = Box(width - 1 - (side - 1) / 2, whole.centre_y, side, height)
        rounds = ((left, right), (middle, whole)) if whom != "largest" else ((middle, whole), (left, right))
    return (*rounds, lying) if turned else rounds


def preference(box: Box, whom: Whom) -> float:
    """The higher, the rather is the person in this box the one to follow."""
    if whom == "left":
        return -box.centre_x
    if whom == "right":
        return box.centre_x
    return box.width * box.height
