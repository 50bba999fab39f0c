"""Bills of materials of built images, as CycloneDX: what Python and Debian say is installed in each.

`make image-boms`, or: python infra/image_bom.py OUT IMAGE… (needs cyclonedx-python-lib and a Docker engine).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

LIST_PYTHON = (
    "import importlib.metadata as m, json; "
    "print(json.dumps(sorted({(d.metadata['Name'].lower(), d.version) for d in m.distributions()})))"
)
LIST_DEBIAN = ("-W", "-f", "${Package} ${Version} ${Architecture}\\n")


def ask(image: str, program: str, *arguments: str) -> str:
    """What a program of the image prints, without network or rights. Raises CalledProcessError."""
    confined = ("--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--user=65534:65534", "--workdir=/")
    command = ["docker", "run", *confined, f"--entrypoint={program}", image, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def bill(image: str) -> Bom:
    """All packages of an image. Raises CalledProcessError when it cannot be asked."""
    digest = ask_engine(image)
    bom = Bom()
    bom.metadata.component = Component(name=image, version=digest, type=ComponentType.CONTAINER, bom_ref=image)
    for name, version in json.loads(ask(image, "python", "-c", LIST_PYTHON)):
        bom.components.add(_component(PackageURL("pypi", None, name, version)))
    for line in ask(image, "dpkg-query", *LIST_DEBIAN).splitlines():
        name, version, architecture = line.split()
        bom.components.add(_component(PackageURL("deb", "debian", name, version, {"arch": architecture})))
    return bom


def ask_engine(image: str) -> str:
    """The digest of a local image. Raises CalledProcessError."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _component(purl: PackageURL) -> Component:
    return Component(
        name=purl.name, version=purl.version, purl=purl, type=ComponentType.LIBRARY, bom_ref=purl.to_string()
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Write IMAGE's bill of materials to OUT/NAME.cdx.json, NAME being the image's last part.",
        epilog="example: python infra/image_bom.py dist plumbline/edge plumbline/registry",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="of the local engine; build them first: make images")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for image in arguments.images:
        try:
            text = make_outputter(bill(image), OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{image} cannot be asked what it holds: {error}; build it first: make images", file=sys.stderr)
            return 1
        path = arguments.out / f"image-{image.split('/')[-1].split(':')[0]}.cdx.json"
        path.write_text(text + "\n")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
