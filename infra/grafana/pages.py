"""Every dashboard; `python -m infra.grafana.build` makes Grafana's JSON of them."""

from __future__ import annotations

from typing import Final

from infra.grafana.edge_pages import CANARY, FLEET, ONE
from infra.grafana.panels import DISK, UP, Dashboard, Panel, Variable, rate, stat

NODE: Final = 'job="node"'
RUN: Final = 'run=~"$run"'
REGISTRY: Final = 'job="registry"'
# Prometheus' own scrapes are no requests that anybody waits for.
REQUESTS: Final = f'{REGISTRY}, route!="/metrics"'

TRAINING: Final = (
    stat("Epoch", "Ended so far.", f"plumbline_training_epoch{{{RUN}}}", legend="{{run}}"),
    stat(
        "Done",
        "Of all epochs.",
        f"plumbline_training_epoch{{{RUN}}} / plumbline_training_epochs{{{RUN}}}",
        "percentunit",
        legend="{{run}}",
    ),
    stat(
        "Since the last epoch",
        "Much longer than one epoch takes: the run has ended or hangs.",
        f"time() - plumbline_training_epoch_timestamp_seconds{{{RUN}}}",
        "s",
        legend="{{run}}",
    ),
    stat(
        "Best AP",
        "Of the time that is shown.",
        f"max_over_time(plumbline_training_ap{{{RUN}}}[$__range])",
        decimals=3,
        legend="{{run}}",
    ),
    stat("AP now", "After the last epoch.", f"plumbline_training_ap{{{RUN}}}", decimals=3, legend="{{run}}"),
    stat(
        "Pictures a second",
        "Of the last epoch.",
        f"plumbline_training_images_per_second{{{RUN}}}",
        decimals=0,
        legend="{{run}}",
    ),
    Panel("Loss", "Mean of each epoch.", ((f"plumbline_training_loss{{{RUN}}}", "{{run}}"),), width=12, low=None),
    Panel(
        "Average precision",
        "On the validation set, after each epoch.",
        (
            (f"plumbline_training_ap{{{RUN}}}", "{{run}} AP"),
            (f"plumbline_training_ap50{{{RUN}}}", "{{run}} AP50"),
            (f"plumbline_training_pck{{{RUN}}}", "{{run}} PCK"),
        ),
        width=12,
        high=1,
    ),
    Panel("Learning rate", "After each epoch.", ((f"plumbline_training_learning_rate{{{RUN}}}", "{{run}}"),)),
    Panel(
        "Pictures a second",
        "A fall at the same input means that the loader or another program is in the way.",
        ((f"plumbline_training_images_per_second{{{RUN}}}", "{{run}}"),),
    ),
    Panel(
        "Input's height",
        "A run in stages ends on the largest input.",
        ((f"plumbline_training_height{{{RUN}}}", "{{run}}"),),
        unit="none",
    ),
    Panel(
        "Processors in use",
        "Of each host that is scraped.",
        (
            (
                f'1 - avg by (instance) (rate(node_cpu_seconds_total{{{NODE}, mode="idle"}}[$__rate_interval]))',
                "{{instance}}",
            ),
        ),
        unit="percentunit",
        high=1,
    ),
    Panel(
        "Memory that is free",
        "Of each host that is scraped.",
        ((f"node_memory_MemAvailable_bytes{{{NODE}}}", "{{instance}}"),),
        unit="bytes",
    ),
    Panel(
        "Disk that is free",
        "Checkpoints need it.",
        ((f"node_filesystem_avail_bytes{{{DISK}}}", "{{instance}}"),),
        unit="bytes",
    ),
)
PUBLISHES: Final = "sum by (outcome) (plumbline_registry_publishes_total)"
REGISTRIES: Final = (
    Panel(
        "Answers",
        "Whether it can be scraped.",
        ((f"up{{{REGISTRY}}}", "{{instance}}"),),
        "stat",
        words=UP,
        width=6,
        height=4,
    ),
    Panel(
        "Database",
        "Whether it answered.",
        (("plumbline_registry_database_up", "{{instance}}"),),
        "stat",
        words=UP,
        width=6,
        height=4,
    ),
    Panel(
        "Versions", "Of all bundles.", (("max(plumbline_registry_published_versions)", ""),), "stat", width=6, height=4
    ),
    Panel(
        "Stored",
        "That versions name, each blob once.",
        (("max(plumbline_registry_stored_bytes)", ""),),
        "stat",
        "bytes",
        6,
        4,
    ),
    Panel(
        "Requests a second",
        "By answer.",
        ((f"sum by (status) ({rate('plumbline_registry_request_duration_seconds_count', REQUESTS)})", "{{status}}"),),
        unit="reqps",
        width=12,
    ),
    Panel(
        "p95 of a request",
        "By route.",
        (
            (
                "histogram_quantile(0.95, sum by (route, le) "
                f"({rate('plumbline_registry_request_duration_seconds_bucket', REQUESTS)}))",
                "{{route}}",
            ),
        ),
        unit="s",
        width=12,
    ),
    Panel(
        "Bytes a second",
        "Sent: mostly bundles on their way to Pis.",
        (
            (rate("plumbline_registry_sent_bytes_total", REGISTRY), "{{instance}} sent"),
            (rate("plumbline_registry_received_bytes_total", REGISTRY), "{{instance}} received"),
        ),
        unit="Bps",
    ),
    Panel(
        "Uploads",
        "Since it started, by outcome; anything but created and unchanged is an error's code.",
        ((PUBLISHES, "{{outcome}}"),),
    ),
    Panel(
        "Bundles in channels",
        "That have this channel set.",
        (("max by (channel) (plumbline_registry_channel_bundles)", "{{channel}}"),),
    ),
    Panel(
        "Memory",
        "Of each process.",
        ((f"process_resident_memory_bytes{{{REGISTRY}}}", "{{instance}}"),),
        unit="bytes",
        width=12,
    ),
    Panel(
        "Processors in use",
        "Of each process; 1 is one core.",
        ((rate("process_cpu_seconds_total", REGISTRY), "{{instance}}"),),
        width=12,
    ),
)

PIS: Final = 'label_values(up{job="edge"}, instance)'
VERSIONS: Final = "label_values(plumbline_edge_bundle_info, version)"
DASHBOARDS: Final = {
    "fleet": Dashboard(
        "Plumbline: fleet",
        "Every Pi at a glance.",
        FLEET,
        (Variable("instance", "Pi", PIS, several=True),),
    ),
    "pi": Dashboard("Plumbline: one Pi", "Why a Pi is slow, hot or blind.", ONE, (Variable("instance", "Pi", PIS),)),
    "canary": Dashboard(
        "Plumbline: canary against stable",
        "Whether a new version may go on.",
        CANARY,
        (
            Variable("canary", "Canary", VERSIONS, newest_first=True),
            Variable("stable", "Stable", VERSIONS),
        ),
        hours=6,
    ),
    "training": Dashboard(
        "Plumbline: training",
        "Runs that write a textfile (plumbline-train --textfile), and the machines they run on.",
        TRAINING,
        (Variable("run", "Run", "label_values(plumbline_training_epoch, run)", several=True),),
        hours=24,
    ),
    "registry": Dashboard("Plumbline: registry", "What it holds, and how it answers.", REGISTRIES),
}
