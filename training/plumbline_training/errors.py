"""What can go wrong in training through a user's data, files or settings."""

from __future__ import annotations

from plumbline_contract.errors import PlumblineError


class InvalidDataset(PlumblineError):
    """A dataset list, annotation file or image cannot be used."""


class InvalidCheckpoint(PlumblineError):
    """A checkpoint is damaged or belongs to another model."""


class UnknownRecipe(PlumblineError):
    """No recipe has this name."""


class TrainingDiverged(PlumblineError):
    """The loss is no longer a finite number."""


class ParityLost(PlumblineError):
    """An exported model does not compute what the trained one does."""


class UnsupportedModel(PlumblineError):
    """A model file is of no kind that can be evaluated."""


class InvalidSettings(PlumblineError):
    """Options of a command contradict each other or what is possible."""


class WriteFailed(PlumblineError):
    """A file could not be written; what was there before is still there."""


class TrackingFailed(PlumblineError):
    """A tracking server does not take the run."""


class RunInUse(PlumblineError):
    """Another process is training into this folder."""
