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


class TooSlowHere(PlumblineError):
    """On this device the model takes longer than its manifest allows."""


class TrustAnchorMissing(PlumblineError):
    """The device does not know whose signatures to trust."""


class UntrustedMetadata(PlumblineError):
    """What the registry says is not signed as it must be, is too old, or does not fit together."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class KnownBad(PlumblineError):
    """The channel gives a bundle that failed on this device before."""


class UnhealthyBundle(PlumblineError):
    """The service was not well with a new bundle."""


class NotEnoughSpace(PlumblineError):
    """The disk cannot hold the new bundle beside the live one."""


class StateUnwritable(PlumblineError):
    """The state folder cannot be written."""


class UpdateInProgress(PlumblineError):
    """Another process is updating the same state folder."""


class PortTaken(PlumblineError):
    """The page cannot listen where it was told to."""


class Interrupted(PlumblineError):
    """A signal ended the work before its end."""


class DiaryUnusable(PlumblineError):
    """The file with the person's sets cannot be read or written."""


class UnknownSet(PlumblineError):
    """No set with this number is kept."""


class UnknownExercise(PlumblineError):
    """The page asked for an exercise that the coach does not know."""


class SetUnderWay(PlumblineError):
    """What was asked for has to wait until the set has ended."""


class NoSetUnderWay(PlumblineError):
    """There is no set to end."""


class KeypointsForgotten(PlumblineError):
    """The set's keypoints were too old to be kept, so what is made from them is not to be had."""


class SetTooLong(PlumblineError):
    """The set has more frames than fit into the memory for a report."""


class ReportUnderWay(PlumblineError):
    """A report is being made, and too many wait for theirs."""


class PixelsStayHidden(PlumblineError):
    """The device's settings hide the pixels, so that the page cannot show them."""


class BrowserMissing(PlumblineError):
    """There is no browser to show the page."""
