"""What /api/state says."""

from __future__ import annotations

from pydantic import BaseModel

from plumbline_contract.exercise import Severity
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_edge.bundle import Bundle
from plumbline_edge.climate import Climate, Flag
from plumbline_edge.controls import Controls
from plumbline_edge.pipeline import LivePipeline


class FaultState(BaseModel):
    """A fault of the moment."""

    name: str
    cue: str
    severity: Severity
    keypoints: list[str]


class SetState(BaseModel):
    """The set under way."""

    id: int
    seconds: float


class BundleState(BaseModel):
    """The bundle that is running."""

    name: str
    version: str
    precision: str
    manifest_sha256: str

    @classmethod
    def of(cls, bundle: Bundle) -> BundleState:
        """What there is to say of this bundle."""
        manifest = bundle.manifest
        return cls(
            name=manifest.name,
            version=manifest.version,
            precision=manifest.precision,
            manifest_sha256=bundle.manifest_sha256,
        )


class ServiceState(BaseModel):
    """The person's exercise and the service's state; `cues_given` rises with each new cue, which is then to be said."""

    exercise: str
    title: str
    phase: str
    reps: int
    partial_reps: int
    progress: float | None
    holds: bool
    hold_seconds: float
    best_hold_seconds: float
    cue: str | None
    cue_is_praise: bool
    cues_given: int
    faults: list[FaultState]
    fault_counts: dict[str, int]
    person_visible: bool
    set: SetState | None
    rested_seconds: float | None
    """Since the last set ended."""
    quiet_seconds: float
    """How long no cue will be given."""
    pixels_hidden: bool
    pixels_always_hidden: bool
    temperature_celsius: float | None
    throttled: list[Flag]
    fps: float
    too_slow: bool
    """Too few frames a second go through inference for repetitions to be counted and judged."""
    p95_latency_ms: float
    frames: int
    frames_dropped: int
    frame_age_seconds: float
    source: str
    bundle: BundleState


def describe(
    pipeline: LivePipeline, controls: Controls, bundle: BundleState, climate: Climate, now: float
) -> ServiceState:
    """The state at this time.monotonic()."""
    session, source_up = pipeline.session, pipeline.source_up
    coach = session.state if source_up else session.state.without_picture()
    definition, opened = session.definition, controls.recorder.open_set
    return ServiceState(
        exercise=definition.name,
        title=definition.title,
        phase=coach.phase,
        reps=coach.reps,
        partial_reps=coach.partial_reps,
        progress=None if coach.progress is None else round(coach.progress, 3),
        holds=definition.hold is not None,
        hold_seconds=round(coach.hold_seconds, 1),
        best_hold_seconds=round(coach.best_hold_seconds, 1),
        cue=coach.cue,
        cue_is_praise=session.cue_is_praise,
        cues_given=session.cues_given,
        faults=[
            FaultState(
                name=fault.name,
                cue=fault.cue,
                severity=fault.severity,
                keypoints=[KEYPOINT_NAMES[keypoint] for keypoint in fault.keypoints],
            )
            for fault in coach.faults
        ],
        fault_counts=dict(coach.fault_counts),
        person_visible=session.person_seen and source_up,
        set=None if opened is None else SetState(id=opened.id, seconds=round(now - opened.began_at, 1)),
        rested_seconds=_tenths(controls.recorder.rested_seconds),
        quiet_seconds=round(controls.quiet_seconds, 1),
        pixels_hidden=controls.privacy.hidden,
        pixels_always_hidden=controls.privacy.always,
        temperature_celsius=_tenths(climate.temperature_celsius),
        throttled=sorted(climate.flags),
        fps=round(session.meter.fps(now), 2),
        too_slow=session.is_too_slow(now),
        p95_latency_ms=round(1000 * session.meter.p95_latency_seconds(), 2),
        frames=session.frames,
        frames_dropped=pipeline.frames_dropped,
        frame_age_seconds=round(pipeline.frame_age_seconds, 2),
        source=pipeline.source_name,
        bundle=bundle,
    )


def _tenths(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
