"""The judge of form of one running service: which bundle it is, and how it is heard."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline_contract.errors import PlumblineError
from plumbline_contract.exercise import Exercise
from plumbline_contract.form import FAULT_NAMES
from plumbline_edge.bundle import FormBundle, open_form_bundle
from plumbline_edge.coach.agreement import Agreement
from plumbline_edge.coach.judge import FormJudge
from plumbline_edge.logs import warn
from plumbline_edge.running import ActiveWatch
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.state import StateFolder


@dataclass(frozen=True)
class Judging:
    """The judge with its bundle; `rules`: whether the rules are heard too."""

    bundle: FormBundle
    judge: FormJudge
    rules: bool

    def agreement(self, exercise: Exercise) -> Agreement:
        """How rules and judge speak of this exercise together."""
        thresholds = dict(zip(FAULT_NAMES, self.bundle.manifest.thresholds, strict=True))
        return Agreement(exercise, thresholds, rules=self.rules)


def load_judging(settings: EdgeSettings) -> Judging | None:
    """The judge that the settings name, or the active one of the state folder; None where there is none or it is off.

    Raises BundleUnusable, InvalidManifest or DigestMismatch.
    """
    state = StateFolder(settings.judge_state)
    if not settings.use_judge or (settings.judge is None and state.active_sha256() is None):
        return None
    bundle = open_form_bundle(settings.judge or state.active_bundle_folder())
    return Judging(bundle, FormJudge(bundle.load_model()), settings.use_rules)


class RunningJudge:
    """The judge to begin with, and the change for the state folder's active one once that is another."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Load the judge that is chosen now; one of the state folder that can't be used is warned of and left out.

        Raises BundleUnusable, InvalidManifest or DigestMismatch for one that the settings name.
        """
        self._settings = settings
        self._heard: str | None = None
        self._active = ActiveWatch(None if settings.judge else settings.judge_state)
        self.begun_with = load_judging(settings) if settings.judge else self._load("the rules are heard alone")

    def follow(self) -> Judging | None:
        """The judge to hear from now on, where an update activated another.

        One that can't be used is refused once each time that it is activated or brought again.
        """
        return self._load("what was heard before stays") if self._active.is_another(self._heard) else None

    def _load(self, otherwise: str) -> Judging | None:
        try:
            judging = load_judging(self._settings)
        except PlumblineError as error:
            warn(f"the active judge cannot be used, {otherwise}: {error}")
            return None
        if judging is not None:
            self._heard = judging.bundle.manifest_sha256
        return judging
