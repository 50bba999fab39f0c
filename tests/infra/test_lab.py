"""The lab's scripts on a machine whose apt knows no Debian archive, as Ubuntu's does."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.infra.machine import ROOT

FOLDER = ROOT / "infra/lab"
CONTROL = """Package: cloud-init
Version: 24.1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: stands in for Ubuntu's
"""


@pytest.fixture
def ubuntu(tmp_path: Path) -> dict[str, str]:
    """Environment in which apt's only archive is a folder with a cloud-init of its own."""
    if shutil.which("apt-get") is None and not os.environ.get("CI"):
        pytest.skip("apt-get is missing: the lab was NOT tried without a Debian archive")
    archive, package = tmp_path / "ubuntu", tmp_path / "package"
    schemas = package / "usr/lib/python3/dist-packages/cloudinit/config/schemas"
    for folder in (archive, package / "DEBIAN", schemas):
        folder.mkdir(parents=True)
    (schemas / "schema-cloud-config-v1.json").write_text("{}")
    (package / "DEBIAN/control").write_text(CONTROL)
    subprocess.run(["dpkg-deb", "--build", package, archive / "cloud-init_24.1_all.deb"], check=True)
    content = (archive / "cloud-init_24.1_all.deb").read_bytes()
    where = (
        f"Filename: ./cloud-init_24.1_all.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
    (archive / "Packages").write_text(CONTROL + where)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{archive} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
    )
    known = {name: value for name, value in os.environ.items() if name != "DEBIAN_MIRROR"}
    return {**known, "APT_CONFIG": str(tmp_path / "apt.conf"), "PLUMBLINE_LAB": str(tmp_path / "lab")}


def test_cloud_inits_schema_comes_from_any_archive(ubuntu: dict[str, str]) -> None:
    command = [FOLDER / "cloud-init-schema.sh"]
    done = subprocess.run(command, env=ubuntu, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "schema-cloud-config-v1.json").read_text() == "{}"


@pytest.mark.parametrize("script", ["pi.sh rootfs", "arm64.sh python"])
def test_without_a_debian_archive_a_script_says_so_and_ends(
    ubuntu: dict[str, str], tmp_path: Path, script: str
) -> None:
    """Nothing of what comes after is tried: the programs that would do it write down that they were called."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    for name in ("debootstrap", "qemu-aarch64-static", "ssh-keygen"):
        (stubs / name).write_text(f'#!/bin/sh\ntouch "{tmp_path}/called-{name}"\n')
        (stubs / name).chmod(0o755)
    (stubs / "id").write_text("#!/bin/sh\necho 0\n")
    (stubs / "id").chmod(0o755)
    name, argument = script.split()
    environment = {**ubuntu, "PATH": f"{stubs}:{ubuntu['PATH']}"}
    done = subprocess.run([FOLDER / name, argument], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: apt's sources name no Debian archive; set DEBIAN_MIRROR") == 1
    assert not list(tmp_path.glob("called-*"))
