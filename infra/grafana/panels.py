"""What a dashboard consists of, and the expressions that recur."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "table", "state-timeline"]
Words = dict[int, tuple[str, str]]

DISK: Final = 'job="node", mountpoint="/", fstype!="tmpfs"'
PI: Final = 'job="edge", instance=~"$instance"'
UP: Final[Words] = {0: ("down", "red"), 1: ("up", "green")}
BUNDLE_OF: Final = "on (instance) group_left (version) max by (instance, version) (plumbline_edge_bundle_info)"


@dataclass(frozen=True)
class Panel:
    """One picture; `queries` are pairs of expression and legend."""

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    red_below: float | None = None
    red_above: float | None = None
    low: float | None = 0
    """Where the axis begins; None: with the data."""
    high: float | None = None
    decimals: int | None = None
    words: Words = field(default_factory=dict)
    """Value -> what stands for it, and its colour."""
    names: bool = False
    """A stat shows its legend in place of its value."""
    columns: tuple[str, ...] = ()
    """Of a table: the labels that it shows, from left."""
    link: tuple[str, str] | None = None
    """Title and address, on every value."""


@dataclass(frozen=True)
class Variable:
    """A choice above the panels: the values of a label."""

    name: str
    label: str
    query: str
    several: bool = False
    newest_first: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One page of panels."""

    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    hours: int = 1
    """Shown at first: so many back from now."""


def stat(title: str, description: str, expression: str, unit: str = "short", **more: object) -> Panel:
    """One number."""
    legend = str(more.pop("legend", ""))
    return Panel(title, description, ((expression, legend),), "stat", unit, 4, 4, **more)  # type: ignore[arg-type]


def p95(stage: str = "", by: str = "instance") -> str:
    """The 95th percentile of a latency histogram of the edge."""
    name = f"plumbline_edge_{stage}latency_seconds_bucket"
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({name}{{{PI}}}[$__rate_interval])))"


def rate(name: str, selector: str) -> str:
    """A counter's increase a second."""
    return f"rate({name}{{{selector}}}[$__rate_interval])"


def mean(name: str, selector: str = "") -> str:
    """The mean of what a histogram or summary observed."""
    return f"{rate(f'{name}_sum', selector)} / {rate(f'{name}_count', selector)}"


def per_version(of_each: str) -> str:
    """A value of each Pi, averaged over those that run the same version."""
    return f"avg by (version) (({of_each}) * {BUNDLE_OF})"


def against_stable(of_each: str) -> str:
    """Mean over the Pis that run canary's version, over that of stable's: 1 is as good."""
    running = 'on (instance) max by (instance) (plumbline_edge_bundle_info{{version="${}"}})'
    canary, stable = (f"avg(({of_each}) * {running.format(side)})" for side in ("canary", "stable"))
    return f"{canary} / {stable}"
