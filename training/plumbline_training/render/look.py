"""What a person looks like: shape, skin, hair and clothes, sampled from a generator so that one seed is one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from plumbline_training.render.body import Phenotype

Colour = tuple[float, float, float]
"""Red, green, blue in [0, 1], as a screen shows them."""

SKIN_TONES: Final[tuple[Colour, ...]] = (
    (0.96, 0.80, 0.71),
    (0.92, 0.73, 0.61),
    (0.86, 0.65, 0.51),
    (0.76, 0.55, 0.41),
    (0.62, 0.43, 0.31),
    (0.47, 0.32, 0.23),
    (0.34, 0.22, 0.16),
)
HAIR_COLOURS: Final[tuple[Colour, ...]] = (
    (0.07, 0.06, 0.05),
    (0.14, 0.09, 0.06),
    (0.26, 0.17, 0.10),
    (0.40, 0.26, 0.14),
    (0.66, 0.50, 0.28),
    (0.45, 0.19, 0.10),
    (0.62, 0.61, 0.60),
)


@dataclass(frozen=True)
class Garment:
    """Cloth: its colour, how far it stands off the skin (metres), and a pattern of a second colour."""

    colour: Colour
    thickness: float
    pattern: str = "plain"
    second: Colour = (1.0, 1.0, 1.0)
    scale: float = 25.0


@dataclass(frozen=True)
class Look:
    """One person, dressed."""

    phenotype: Phenotype
    skin: Colour
    hair: Colour
    hairline: float
    """Front hairline in ear half-widths above the ears; above 2 is bald."""
    nape: float
    """Where the hair ends at the back, in ear half-widths; -2 reaches the shoulders."""
    hair_thickness: float
    beard: float
    shirt: Garment | None
    sleeve: float
    """Where sleeves end: 0 shoulder, 1 elbow, 2 wrist."""
    collar: float
    """How far the front of the collar lies below the neck, in metres."""
    trousers: Garment
    leg_length: float
    """Where trousers end: 0 hip, 1 knee, 2 ankle."""
    waist: float
    """Height of the waistband above the hip joints, in metres of the canonical body."""
    shoes: Garment | None
    sock_length: float
    sock_colour: Colour
    skirt: tuple[float, float] | None = None
    """A skirt's length in thighs and its flare; None for none."""
    tail: float = 0.0
    """Length of tied hair in metres; 0 for none."""


def sample_colour(rng: np.random.Generator) -> Colour:
    """A cloth colour: often black, grey or white, else anything."""
    kind = rng.random()
    if kind < 0.45:
        grey = float(rng.choice([0.05, 0.1, 0.2, 0.4, 0.65, 0.92]) + rng.normal(0, 0.02))
        tint = rng.normal(0, 0.02, 3)
        red, green, blue = np.clip(grey + tint, 0.02, 0.97)
        return (float(red), float(green), float(blue))
    red, green, blue = rng.uniform(0.03, 0.95, 3)
    return (float(red), float(green), float(blue))


def sample_garment(rng: np.random.Generator, thickness: float, plain_share: float) -> Garment:
    """A garment of about this thickness, plain or patterned."""
    patterned = rng.random() > plain_share
    pattern = str(rng.choice(["stripes", "bars", "checks", "blotches", "print"])) if patterned else "plain"
    return Garment(
        sample_colour(rng),
        float(thickness * rng.uniform(0.6, 1.5)),
        pattern,
        sample_colour(rng),
        float(rng.uniform(8, 45)),
    )


def sample_phenotype(rng: np.random.Generator) -> Phenotype:
    """People of all builds, from half-grown to old."""
    origins = rng.dirichlet((0.6, 0.6, 0.6))
    return Phenotype(
        gender=float(np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.08), 0, 1)),
        age=float(rng.uniform(0.5, 0.62) if rng.random() < 0.1 else rng.uniform(0.62, 0.98)),
        muscle=float(np.clip(rng.normal(0.55, 0.18), 0.1, 1)),
        weight=float(np.clip(rng.normal(0.5, 0.17), 0.1, 0.95)),
        height=float(np.clip(rng.normal(0.5, 0.17), 0.1, 0.9)),
        proportions=float(rng.uniform(0.3, 1)),
        african=float(origins[0]),
        asian=float(origins[1]),
        caucasian=float(origins[2]),
        cupsize=float(rng.uniform(0.2, 0.7)),
        firmness=float(rng.uniform(0.4, 0.9)),
    )


def sample_skin(rng: np.random.Generator, phenotype: Phenotype) -> Colour:
    """A tone that leans with the origins, with a wide spread."""
    middle = 1.2 * phenotype.caucasian + 1.8 * phenotype.asian + 5.0 * phenotype.african
    index = float(np.clip(rng.normal(middle, 1.0), 0, len(SKIN_TONES) - 1.001))
    low, share = int(index), index - int(index)
    mixed = (1 - share) * np.array(SKIN_TONES[low]) + share * np.array(SKIN_TONES[low + 1]) + rng.normal(0, 0.012, 3)
    red, green, blue = np.clip(mixed, 0.05, 1)
    return (float(red), float(green), float(blue))


def sample_look(rng: np.random.Generator) -> Look:
    """One person in gym or everyday clothes."""
    phenotype = sample_phenotype(rng)
    woman = phenotype.gender > 0.5
    dark = phenotype.african + phenotype.asian > 0.75
    hair = HAIR_COLOURS[int(rng.integers(0, 3 if dark else len(HAIR_COLOURS)))]
    bald = not woman and rng.random() < 0.12
    topless = not woman and rng.random() < 0.07
    long_sleeve = rng.random() < 0.2
    tight = rng.random() < 0.5
    skirted = woman and rng.random() < 0.2
    return Look(
        phenotype=phenotype,
        skin=sample_skin(rng, phenotype),
        hair=hair,
        hairline=2.5 if bald else float(rng.uniform(0.95, 1.35)),
        nape=float(rng.uniform(-2.0, -0.7) if woman else rng.uniform(-0.9, -0.3)),
        hair_thickness=float(rng.uniform(0.008, 0.03) if woman else rng.uniform(0.003, 0.018)),
        beard=float(rng.uniform(0.3, 0.85)) if not woman and rng.random() < 0.35 else 0.0,
        shirt=None if topless else sample_garment(rng, 0.005 if tight else 0.014, 0.5),
        sleeve=float(rng.uniform(1.5, 2.0) if long_sleeve else rng.choice([0.02, rng.uniform(0.35, 0.8)])),
        collar=float(rng.uniform(0.0, 0.07)),
        trousers=sample_garment(rng, 0.004 if rng.random() < 0.5 else 0.014, 0.8),
        leg_length=float(rng.uniform(1.75, 2.0) if rng.random() < 0.55 else rng.uniform(0.3, 0.95)),
        waist=float(rng.uniform(0.03, 0.13)),
        shoes=None if rng.random() < 0.12 else Garment(sample_colour(rng), 0.009, "plain", sample_colour(rng)),
        sock_length=float(rng.uniform(1.55, 1.95)),
        sock_colour=sample_colour(rng),
        skirt=(float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.0, 0.12))) if skirted else None,
        tail=float(rng.uniform(0.1, 0.4)) if woman and rng.random() < 0.45 else 0.0,
    )
