"""A box by its four edges, each of which can move on its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline_contract.box import Box


@dataclass(frozen=True)
class Edges:
    """An upright rectangle in image pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, box: Box) -> Edges:
        """The edges of an upright box."""
        half_width, half_height = box.width / 2, box.height / 2
        return cls(
            box.centre_x - half_width, box.centre_y - half_height, box.centre_x + half_width, box.centre_y + half_height
        )

    def follow(self, target: Edges, inwards: float) -> Edges:
        """Each edge takes the target at once when that is further out, else moves the share `inwards` of the way."""
        return Edges(
            min(target.left, self.left + inwards * (target.left - self.left)),
            min(target.top, self.top + inwards * (target.top - self.top)),
            max(target.right, self.right + inwards * (target.right - self.right)),
            max(target.bottom, self.bottom + inwards * (target.bottom - self.bottom)),
        )

    def including(self, points_N2: npt.NDArray[np.float64]) -> Edges:
        """Moved outwards as far as needed to hold these points."""
        low, high = points_N2.min(axis=0), points_N2.max(axis=0)
        return Edges(
            min(self.left, float(low[0])),
            min(self.top, float(low[1])),
            max(self.right, float(high[0])),
            max(self.bottom, float(high[1])),
        )

    def clipped(self, height: int, width: int) -> Edges | None:
        """The part inside a picture of this size; None when there is none."""
        left, top = max(self.left, 0.0), max(self.top, 0.0)
        right, bottom = min(self.right, width - 1.0), min(self.bottom, height - 1.0)
        return Edges(left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None

    def box(self) -> Box:
        """The same as a box."""
        centre_x, centre_y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Box(centre_x, centre_y, self.right - self.left, self.bottom - self.top)
