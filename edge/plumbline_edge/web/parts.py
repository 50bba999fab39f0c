"""What the page shows and works with."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline_edge.controls import Controls
from plumbline_edge.diary.diary import Diary
from plumbline_edge.metrics import EdgeMetrics
from plumbline_edge.pipeline import LivePipeline
from plumbline_edge.running import RunningBundle
from plumbline_edge.view import LiveView


@dataclass(frozen=True)
class Parts:
    """The parts of one running service."""

    pipeline: LivePipeline
    view: LiveView
    metrics: EdgeMetrics
    running: RunningBundle
    controls: Controls
    diary: Diary
