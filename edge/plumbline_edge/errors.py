"""What can go wrong on a device, each with a message that says what to do."""

from __future__ import annotations

from plumbline_contract.errors import PlumblineError


class InvalidSettings(PlumblineError):
    """A flag, an environment variable or their combination makes no sense."""


class SourceUnavailable(PlumblineError):
    """A file, camera or stream cannot be opened, or gives no picture."""


class NobodySeen(PlumblineError):
    """A recording shows no person whom the model could follow."""


class SourceTruncated(PlumblineError):
    """A video file ends before the end that it declares."""


class OutputUnwritable(PlumblineError):
    """The annotated video cannot be written."""


class BundleUnusable(PlumblineError):
    """A bundle directory is absent, incomplete, or holds a model that its manifest does not describe."""


class GoldenMismatch(PlumblineError):
    """On this device the model does not give what conversion saw."""


class RegistryUnavailable(PlumblineError):
    """The registry cannot be reached, or broke off."""


class RegistryRefused(PlumblineError):
    """The registry answered with an error, or with something that is no answer of its API."""


class StateUnwritable(PlumblineError):
    """The state folder cannot be written."""


class UpdateInProgress(PlumblineError):
    """Another process is updating the same state folder."""


class PortTaken(PlumblineError):
    """The page cannot listen where it was told to."""


class Interrupted(PlumblineError):
    """A signal ended the work before its end."""
