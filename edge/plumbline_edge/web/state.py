"""What /api/state says."""

from __future__ import annotations

from pydantic import BaseModel

from plumbline_contract.exercise import Severity
from plumbline_contract.skeleton import KEYPOINT_NAMES
from plumbline_edge.bundle import Bundle
from plumbline_edge.pipeline import LivePipeline


class FaultState(BaseModel):
    """A fault of the moment."""

    name: str
    cue: str
    severity: Severity
    keypoints: list[str]


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
    phase: str
    reps: int
    partial_reps: int
    cue: str | None
    cue_is_praise: bool
    cues_given: int
    faults: list[FaultState]
    fault_counts: dict[str, int]
    person_visible: bool
    fps: float
    p95_latency_ms: float
    frames: int
    frames_dropped: int
    frame_age_seconds: float
    source: str
    bundle: BundleState


def describe(pipeline: LivePipeline, bundle: BundleState, now: float) -> ServiceState:
    """The state at this time.monotonic()."""
    session = pipeline.session
    coach = session.state
    return ServiceState(
        exercise=session.exercise,
        phase=coach.phase,
        reps=coach.reps,
        partial_reps=coach.partial_reps,
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
        person_visible=session.person_seen,
        fps=round(session.meter.fps(now), 2),
        p95_latency_ms=round(1000 * session.meter.p95_latency_seconds(), 2),
        frames=session.frames,
        frames_dropped=pipeline.frames_dropped,
        frame_age_seconds=round(pipeline.frame_age_seconds, 2),
        source=pipeline.source_name,
        bundle=bundle,
    )
