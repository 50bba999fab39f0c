"""What the dashboards of the fleet show."""

from __future__ import annotations

from typing import Final

from infra.grafana.panels import DISK, PI, UP, Panel, Words, against_stable, mean, p95, per_version, rate, stat

LINK_TO_PI: Final = "/d/plumbline-pi?var-instance=${__data.fields.instance}&${__url_time_range}"
SERIES_LINK_TO_PI: Final = "/d/plumbline-pi?var-instance=${__field.labels.instance}&${__url_time_range}"
YES_IS_BAD: Final[Words] = {0: ("no", "green"), 1: ("yes", "red")}
INFERENCE: Final = mean("plumbline_edge_stage_latency_seconds", 'stage="inference"')
CONFIDENCE: Final = mean("plumbline_edge_keypoint_confidence")
LOST: Final = "rate(plumbline_edge_tracking_lost_total[$__rate_interval]) * 60"
FAULTS: Final = "sum by (instance) (rate(plumbline_edge_faults_total[$__rate_interval])) * 60"

FLEET: Final = (
    stat("Pis that answer", "Of those that are scraped.", f"sum(up{{{PI}}})", red_below=1),
    stat("Pis that do not", "EdgeDown fires after two minutes.", f"count(up{{{PI}}}) - sum(up{{{PI}}})", red_above=1),
    stat("Alerts", "Firing now.", 'count(ALERTS{alertstate="firing"}) or vector(0)', red_above=1),
    stat("Slowest Pi", "Least FPS of all.", f"min(plumbline_edge_fps{{{PI}}})", decimals=1, red_below=5),
    stat("Worst p95 latency", "From a frame's capture to coaching.", f"max({p95()})", "s", red_above=0.25),
    stat(
        "Bundles in use",
        "More than one for long: a rollout stopped halfway.",
        f"count(count by (manifest_sha256) (plumbline_edge_bundle_info{{{PI}}}))",
    ),
    Panel(
        "FPS",
        "Frames a second through inference.",
        ((f"plumbline_edge_fps{{{PI}}}", "{{instance}}"),),
        width=12,
        link=("This Pi", SERIES_LINK_TO_PI),
    ),
    Panel(
        "p95 latency",
        "From a frame's capture to its keypoints and coaching.",
        ((p95(), "{{instance}}"),),
        unit="s",
        width=12,
        link=("This Pi", SERIES_LINK_TO_PI),
    ),
    Panel(
        "What runs where",
        "Each Pi's bundle; a click shows the Pi.",
        ((f"plumbline_edge_bundle_info{{{PI}}}", ""),),
        "table",
        width=12,
        columns=("instance", "name", "version", "precision", "manifest_sha256"),
        link=("This Pi", LINK_TO_PI),
    ),
    Panel(
        "Alerts, firing and pending",
        "docs/alerts.md says what to do.",
        (("ALERTS", ""),),
        "table",
        width=12,
        columns=("alertname", "severity", "alertstate", "instance"),
    ),
    Panel("Scraped", "Red while a Pi does not answer.", ((f"up{{{PI}}}", "{{instance}}"),), "state-timeline", words=UP),
    Panel(
        "Cameras",
        "Red while a camera gives no picture.",
        ((f"plumbline_edge_source_up{{{PI}}}", "{{instance}}"),),
        "state-timeline",
        words=UP,
    ),
    Panel(
        "Held down by the firmware",
        "Red while under-voltage or heat slows the processor.",
        ((f"max by (instance) (plumbline_edge_throttled{{{PI}}})", "{{instance}}"),),
        "state-timeline",
        words=YES_IS_BAD,
    ),
    Panel(
        "Temperature",
        "Of the hottest part of each processor; the service rests between frames from 70 degrees.",
        ((f"plumbline_edge_temperature_celsius{{{PI}}}", "{{instance}}"),),
        unit="celsius",
        low=None,
    ),
    # Not increase(): a reason's first failure begins its series, and the journal outlives restarts.
    Panel(
        "Updates",
        "Refused or failed so far, by reason, and how many were tried.",
        (
            (f"plumbline_edge_update_failures_total{{{PI}}}", "{{instance}} {{reason}}"),
            (f"plumbline_edge_updates_total{{{PI}}}", "{{instance}} tried"),
        ),
    ),
    Panel(
        "Bundles refused",
        "That failed on a Pi and are not tried again there.",
        ((f"plumbline_edge_failed_bundles{{{PI}}}", "{{instance}}"),),
    ),
    Panel(
        "Disk that is free",
        "Of the file system that holds everything, on each host.",
        (
            (
                f"node_filesystem_avail_bytes{{{DISK}}} / node_filesystem_size_bytes{{{DISK}}}",
                "{{instance}}",
            ),
        ),
        unit="percentunit",
        width=24,
        height=6,
        high=1,
    ),
)
ONE: Final = (
    stat(
        "Bundle",
        "What it runs.",
        f"plumbline_edge_bundle_info{{{PI}}}",
        legend="{{name}} {{version}} {{precision}}",
        names=True,
    ),
    stat("FPS", "Frames a second through inference.", f"plumbline_edge_fps{{{PI}}}", decimals=1, red_below=5),
    stat("p95 latency", "From a frame's capture to coaching.", p95(), "s", red_above=0.25),
    stat("Temperature", "Of the hottest part.", f"plumbline_edge_temperature_celsius{{{PI}}}", "celsius", red_above=78),
    stat(
        "Last good check",
        "Since the updater last found everything well.",
        f"time() - (plumbline_edge_update_success_timestamp_seconds{{{PI}}} > 0)",
        "s",
        red_above=7 * 86400,
    ),
    stat("Up for", "Since the service started.", f"time() - process_start_time_seconds{{{PI}}}", "s"),
    Panel("FPS", "Frames a second through inference.", ((f"plumbline_edge_fps{{{PI}}}", "{{instance}}"),), width=12),
    Panel(
        "p95 latency by stage",
        "Which stage takes the time; capture includes the wait for the camera.",
        ((p95("stage_", "stage"), "{{stage}}"),),
        unit="s",
        width=12,
    ),
    Panel(
        "Temperature",
        "The service rests between frames once the processor is warm.",
        ((f"plumbline_edge_temperature_celsius{{{PI}}}", "{{instance}}"),),
        unit="celsius",
        low=None,
    ),
    Panel(
        "Duty",
        "Share of the time that inference may take: 1 when cool, less when warm.",
        ((f"plumbline_edge_inference_duty{{{PI}}}", "duty"),),
        unit="percentunit",
        high=1,
    ),
    Panel(
        "Firmware's flags",
        "Red while under-voltage or heat holds the processor down.",
        ((f"plumbline_edge_throttled{{{PI}}}", "{{flag}}"),),
        "state-timeline",
        words=YES_IS_BAD,
    ),
    Panel(
        "Person",
        "Whether one is seen, and whether one is followed.",
        ((f"plumbline_edge_person_visible{{{PI}}}", "seen"), (f"plumbline_edge_tracking{{{PI}}}", "followed")),
        "state-timeline",
        words={0: ("no", "text"), 1: ("yes", "green")},
    ),
    Panel(
        "Lost, a minute",
        "How often a followed person is lost.",
        ((f"{rate('plumbline_edge_tracking_lost_total', PI)} * 60", "{{instance}}"),),
    ),
    Panel(
        "Keypoint confidence",
        "Mean score of seen people.",
        ((mean("plumbline_edge_keypoint_confidence", PI), "{{instance}}"),),
        unit="percentunit",
        high=1,
    ),
    Panel(
        "Repetitions a minute",
        "Counted by the coach.",
        ((f"sum by (exercise) ({rate('plumbline_edge_reps_total', PI)}) * 60", "{{exercise}}"),),
    ),
    Panel(
        "Faults a minute",
        "Found by the coach.",
        (
            (
                f"sum by (exercise, fault) ({rate('plumbline_edge_faults_total', PI)}) * 60",
                "{{exercise}}: {{fault}}",
            ),
        ),
    ),
    Panel(
        "Judge against rules, a minute",
        "Cues that the judge of form silenced, and those that it spoke by itself; none where no judge runs.",
        ((f"sum by (kind) ({rate('plumbline_edge_judge_disagreements_total', PI)}) * 60", "{{kind}}"),),
    ),
    Panel(
        "Dropped frames",
        "Replaced by a newer one before inference had time for them.",
        ((rate("plumbline_edge_frames_dropped_total", PI), "{{instance}}"),),
        unit="reqps",
    ),
    Panel("Memory", "Of the service.", ((f"process_resident_memory_bytes{{{PI}}}", "{{instance}}"),), unit="bytes"),
    Panel("Viewers", "Live pictures being served.", ((f"plumbline_edge_viewers{{{PI}}}", "{{instance}}"),)),
)
CANARY: Final = (
    stat(
        "FPS, canary over stable",
        "Below 67%, 1.5 times slower, the rollout's gate stops a Pi.",
        against_stable("plumbline_edge_fps"),
        "percentunit",
        red_below=0.67,
    ),
    stat(
        "Inference, canary over stable",
        "Mean time of one.",
        against_stable(INFERENCE),
        "percentunit",
        red_above=1.5,
    ),
    stat(
        "Confidence, canary over stable",
        "Mean score of seen people.",
        against_stable(CONFIDENCE),
        "percentunit",
        red_below=0.9,
    ),
    Panel(
        "Pis by version",
        "How far the rollout is.",
        (("count by (version) (max by (instance, version) (plumbline_edge_bundle_info))", "{{version}}"),),
        "stat",
        width=12,
        height=4,
        names=False,
    ),
    Panel("FPS", "Mean over the Pis that run a version.", ((per_version("plumbline_edge_fps"), "{{version}}"),)),
    Panel("Inference", "Mean time of one inference.", ((per_version(INFERENCE), "{{version}}"),), unit="s"),
    Panel(
        "Keypoint confidence",
        "Mean score of seen people: a fall means that the new one sees worse.",
        ((per_version(CONFIDENCE), "{{version}}"),),
        unit="percentunit",
        low=None,
    ),
    Panel(
        "People lost, a minute",
        "How often a followed person is lost.",
        ((per_version(LOST), "{{version}}"),),
        width=12,
    ),
    Panel(
        "Faults a minute",
        "A jump means that the new one sees faults that are none.",
        ((per_version(FAULTS), "{{version}}"),),
        width=12,
    ),
)
