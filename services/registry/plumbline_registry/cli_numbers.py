"""Numbers of the command line that lie within bounds; argparse says which option was wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def within(kind: Callable[[str], Number], least: Number, most: Number) -> Callable[[str], Number]:
    """A type for argparse: a number from `least` to `most`, which no NaN is."""

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} must be from {least} to {most}")
        return value

    return parse
