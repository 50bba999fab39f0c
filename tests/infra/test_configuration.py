"""The files of infra/ are well formed and agree with the parts that they name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.infra.machine import ROOT, program
from tests.infra.playing import play

INFRA = ROOT / "infra"
ROLES = sorted((INFRA / "ansible/roles").iterdir())
PLAYBOOKS = ("site.yml", "deploy.yml", "rollback.yml", "add-pi.yml")
DASHBOARDS = sorted((INFRA / "grafana/dashboards").glob("*.json"))
DOCKERFILES = sorted([*ROOT.glob("*/Dockerfile"), *ROOT.glob("services/*/Dockerfile")])
# Histograms are documented by their base name.
_METRIC = re.compile(r"\bplumbline_[a-z0-9_]+?(?=_bucket\b|_sum\b|_count\b|\b)")


def _run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def _documented_metrics() -> set[str]:
    tables = (ROOT / part / "README.md" for part in ("edge", "services/registry", "training"))
    return {name for path in tables for name in re.findall(r"`(plumbline_[a-z0-9_]+)`", path.read_text())}


def _expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def _program_of_apt(name: str, *arguments: str) -> str:
    """Run what comes with apt, not with pip: CI has it, elsewhere its absence is said aloud."""
    if shutil.which(name) is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is missing (apt-get install prometheus prometheus-alertmanager): this was NOT checked")
    done = _run(program(name), *arguments, cwd=INFRA / "prometheus")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration() -> None:
    _program_of_apt("promtool", "check", "config", "prometheus.yml")


@pytest.fixture(scope="module", params=["as it is", "by the role"])
def alertmanager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that Compose mounts, and what the role monitoring makes of it."""
    file = INFRA / "prometheus/alertmanager.yml"
    if request.param == "as it is":
        return file
    folder = tmp_path_factory.mktemp("monitoring")
    written = folder / "alertmanager.yml"
    template = {"src": str(INFRA / "ansible/roles/monitoring/templates/alertmanager.yml.j2"), "dest": str(written)}
    settings = {"monitoring_routes": str(file), "monitoring_webhook": "http://pager.example.lan/hook"}
    code, said = play(folder, [{"ansible.builtin.template": template}], **settings)
    assert code == 0, said
    return written


def test_alertmanager_takes_the_configuration(alertmanager: Path) -> None:
    _program_of_apt("amtool", "check-config", str(alertmanager))


def test_the_role_tells_who_should_know_and_changes_nothing_else(alertmanager: Path) -> None:
    file = yaml.safe_load((INFRA / "prometheus/alertmanager.yml").read_text())
    made = yaml.safe_load(alertmanager.read_text())
    assert {**made, "receivers": None} == {**file, "receivers": None}
    told = {receiver["name"] for receiver in made["receivers"] if "webhook_configs" in receiver}
    assert told == (set() if made == file else {"page", "call"})
    assert [receiver["name"] for receiver in made["receivers"]] == ["page", "call", "nobody"]


def test_the_webhook_comes_beside_those_of_ones_own_receivers(tmp_path: Path) -> None:
    own = {"url": "http://chat.example.lan/"}
    routes = {"route": {"receiver": "page"}, "receivers": [{"name": "page", "webhook_configs": [own]}]}
    (tmp_path / "routes.yml").write_text(yaml.safe_dump(routes))
    source = INFRA / "ansible/roles/monitoring/templates/alertmanager.yml.j2"
    template = {"src": str(source), "dest": str(tmp_path / "made.yml")}
    settings = {
        "monitoring_routes": str(tmp_path / "routes.yml"),
        "monitoring_webhook": "http://pager.example.lan/hook",
    }
    code, said = play(tmp_path, [{"ansible.builtin.template": template}], **settings)
    assert code == 0, said
    (receiver,) = yaml.safe_load((tmp_path / "made.yml").read_text())["receivers"]
    assert [each["url"] for each in receiver["webhook_configs"]] == [own["url"], settings["monitoring_webhook"]]


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "call"), ("warning", "page"), ("info", "nobody"), ("", "page")]
)
def test_alerts_go_to_who_should_know(alertmanager: Path, severity: str, receiver: str) -> None:
    routed = _program_of_apt(
        "amtool", "config", "routes", "test", f"--config.file={alertmanager}", f"severity={severity}"
    )
    assert routed.split() == [receiver]


def test_routes_know_the_severities_in_use() -> None:
    groups = yaml.safe_load((INFRA / "prometheus/rules/edge.yml").read_text())["groups"]
    severities = {rule["labels"]["severity"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert severities == {"critical", "warning", "info"}


def test_alerts_fire_when_they_should() -> None:
    _program_of_apt("promtool", "test", "rules", "rules/edge_test.yml", "rules/edge_days_test.yml")


def test_every_alert_leads_to_its_entry_in_the_runbook() -> None:
    groups = yaml.safe_load((INFRA / "prometheus/rules/edge.yml").read_text())["groups"]
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/alerts.md").read_text("utf-8"), re.MULTILINE)
    alerts = {
        rule["alert"]: rule["annotations"]["runbook"] for group in groups for rule in group["rules"] if "alert" in rule
    }
    assert alerts == {name: f"docs/alerts.md#{name.lower()}" for name in headings}


def test_dashboards_are_what_their_table_says() -> None:
    done = _run(sys.executable, "-m", "infra.grafana.build", "--check")
    assert done.returncode == 0, done.stderr


def test_every_alert_is_tested() -> None:
    groups = yaml.safe_load((INFRA / "prometheus/rules/edge.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    files = (INFRA / "prometheus/rules").glob("*_test.yml")
    cases = [case for file in files for case in yaml.safe_load(file.read_text())["tests"]]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test["exp_alerts"]}
    quiet = {test["alertname"] for case in cases for test in case["alert_rule_test"] if not test["exp_alerts"]}
    assert alerts == fired == quiet


def test_rules_read_documented_metrics() -> None:
    groups = yaml.safe_load((INFRA / "prometheus/rules/edge.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        expression = rule["expr"]
        for name in recorded:
            expression = expression.replace(name, "")
        assert set(_METRIC.findall(expression)) <= _documented_metrics(), rule


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_read_documented_metrics(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    used = {name for expression in _expressions(dashboard) for name in _METRIC.findall(expression)}
    assert used
    assert used <= _documented_metrics()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_well_formed(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] for panel in panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    mentioned = set(re.findall(r"\$\{?(?!__)(\w+)", json.dumps(dashboard)))
    assert mentioned <= variables


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.yml")), ids=lambda path: str(path.relative_to(INFRA)))
def test_yaml_parses(path: Path) -> None:
    assert yaml.safe_load(path.read_text()) is not None


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_parses(playbook: str) -> None:
    arguments = ["--syntax-check", "-i", "inventory.example.yml", playbook]
    done = _run(program("ansible-playbook"), *arguments, cwd=INFRA / "ansible")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_role_variables_are_specified_and_prefixed(role: Path) -> None:
    defaults, options = _defaults(role), _options(role)
    assert set(defaults) == set(options)
    assert all(name.startswith(f"{role.name}_") for name in defaults)
    assert all(option["description"] for option in options.values())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_role_defaults_fit_their_specification(role: Path) -> None:
    """By Ansible's own validator; what is a template is known only on a machine, where the role itself checks it."""
    plain = {name: value for name, value in _defaults(role).items() if "{{" not in str(value)}
    specification = {name: _checkable(option) for name, option in _options(role).items() if name in plain}
    assert plain
    assert _violations(specification, plain) == []
    wrong = {name: {"no": "such type"} for name, option in specification.items() if option["type"] in ("int", "float")}
    assert len(_violations(specification, wrong)) >= len(wrong)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_role_reads_no_variable_of_its_own_that_is_not_set(role: Path) -> None:
    """Each word with the role's prefix is a default, or is made by a task: a misspelt one would be empty for ever."""
    text = "".join(path.read_text() for path in role.rglob("*") if path.suffix in (".yml", ".j2"))
    made = set(re.findall(rf"(?:register: |^ +)({role.name}_[a-z0-9_]+):?", text, re.MULTILINE))
    read = set(re.findall(rf"\b({role.name}_[a-z0-9_]+)\b", text))
    assert read <= set(_defaults(role)) | set(_options(role, "*")) | made


_VALIDATE = """
import json, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
specification, parameters = json.load(sys.stdin)
print(json.dumps(ArgumentSpecValidator(specification).validate(parameters).error_messages))
"""


def _violations(specification: dict[str, Any], parameters: dict[str, Any]) -> list[str]:
    """In a process of its own: Ansible's modules replace `sys.intern`, which torch can't live with."""
    content = json.dumps([specification, parameters])
    done = subprocess.run([sys.executable, "-c", _VALIDATE], input=content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def _defaults(role: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((role / "defaults/main.yml").read_text()))


def _options(role: Path, entry: str = "main") -> dict[str, Any]:
    """The options of an entry point; '*': of all."""
    entries = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    chosen = entries.values() if entry == "*" else [entries[entry]]
    return {name: option for each in chosen for name, option in each["options"].items()}


def _checkable(option: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key in ("type", "elements", "choices")}


def test_environment_file_sets_only_settings_that_the_edge_documents() -> None:
    template = (INFRA / "ansible/roles/edge_app/templates/edge.env.j2").read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    documented = set(re.findall(r"`(PLUMBLINE_\w+)`", (ROOT / "edge/README.md").read_text()))
    for part in ("services/registry", "training"):
        documented |= set(re.findall(r"`(PLUMBLINE_\w+)`", (ROOT / part / "README.md").read_text()))
    assert set(re.findall(r"PLUMBLINE_[A-Z_]+", template + compose)) <= documented


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.scale.yml", "docker-compose.gpu.yml"])
def test_compose_file_follows_the_specification(name: str) -> None:
    done = _run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_services_are_confined() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_images_are_built_in_stages_and_run_as_nobody(path: Path) -> None:
    text = path.read_text()
    assert len(re.findall(r"^FROM python:3\.11-slim-bookworm\b", text, re.MULTILINE)) == 2
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "# syntax=" not in text


def test_what_containers_keep_belongs_to_the_user_of_their_image() -> None:
    """A named volume begins with the owner of its folder in the image; of a folder that is not there it is root's."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    built = {service["image"]: service["build"]["dockerfile"] for service in services.values() if "build" in service}
    kept = set()
    for service in (service for service in services.values() if service["image"] in built):
        for volume in service["volumes"]:
            found = re.fullmatch(r"(?:\$\{\w+:-)?(\w+)\}?:(?:\$\{\w+:-)?(/[\w/]+)\}?", volume)
            if found is not None:
                dockerfile = (ROOT / built[service["image"]]).read_text()
                folder = rf"install -d (?:-m 700 )?-o plumbline -g plumbline {found[2]}( |$)"
                assert re.search(folder, dockerfile, re.MULTILINE), volume
                kept.add(found[1])
    assert kept == {"registry", "edge", "runs", "keys"}
