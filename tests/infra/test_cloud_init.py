"""A new Pi's first boot: what user-data.sh prints is what cloud-init takes, by cloud-init's own schema."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.infra.machine import ROOT, program

FOLDER = ROOT / "infra/cloud-init"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6t5ZNB9pQNvP7xFfED2TFRsP3amB8tyMeFnrRHvgAJ operator@desk"


@pytest.fixture
def schemas() -> Path:
    """cloud-init's schemas come with apt, not with pip: CI has it; elsewhere it is said when they can't be had."""
    done = subprocess.run([ROOT / "infra/lab/cloud-init-schema.sh"], capture_output=True, text=True, check=False)
    if done.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"user-data was NOT checked against cloud-init's schema: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def user_data(tmp_path: Path, name: str, key: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "key.pub").write_text(key + "\n")
    command = [str(FOLDER / "user-data.sh"), name, str(tmp_path / "key.pub")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def validate(schema: Path, file: Path) -> subprocess.CompletedProcess[str]:
    command = [program("check-jsonschema"), "--default-filetype", "yaml", "--schemafile", str(schema), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_user_data_names_the_pi_and_lets_the_operator_in(tmp_path: Path, schemas: Path) -> None:
    printed = user_data(tmp_path, "pi-07", KEY).stdout
    assert printed.startswith("#cloud-config\n")
    content = yaml.safe_load(printed)
    assert content["hostname"] == "pi-07"
    assert content["users"][0]["ssh_authorized_keys"] == [KEY]
    (tmp_path / "user-data").write_text(printed)
    done = validate(schemas / "schema-cloud-config-v1.json", tmp_path / "user-data")
    assert done.returncode == 0, done.stdout


def test_a_comment_of_any_characters_stays_as_it_is(tmp_path: Path) -> None:
    """In bash 5.2 an & would be replaced by what the template has there."""
    key = f"{KEY} R&D 100% $HOME `id` \u00e9"
    content = yaml.safe_load(user_data(tmp_path, "pi-07", key).stdout)
    assert content["users"][0]["ssh_authorized_keys"] == [key]


def test_schema_would_find_a_mistake(tmp_path: Path, schemas: Path) -> None:
    content = yaml.safe_load(user_data(tmp_path, "pi-07", KEY).stdout) | {"packages": "python3"}
    (tmp_path / "user-data").write_text("#cloud-config\n" + yaml.safe_dump(content))
    assert validate(schemas / "schema-cloud-config-v1.json", tmp_path / "user-data").returncode != 0


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("Pi_07", KEY, "'Pi_07' is no host name"),
        ("pi-07", "-----BEGIN OPENSSH PRIVATE KEY-----", "is no public SSH key"),
        ("pi-07", KEY + '"\nruncmd: [reboot]', "is no public SSH key"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, name: str, key: str, said: str) -> None:
    done = user_data(tmp_path, name, key)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
