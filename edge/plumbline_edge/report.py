"""Tells the registry how an update went, so that an operator sees what each device runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plumbline_contract.errors import PlumblineError
from plumbline_edge.bundle import open_bundle, open_form_bundle
from plumbline_edge.errors import InvalidSettings
from plumbline_edge.journal import reason_of
from plumbline_edge.registry_client import RegistryClient
from plumbline_edge.settings import EdgeSettings
from plumbline_edge.state import StateFolder


@dataclass(frozen=True)
class Reporter:
    """A device's name and token at its registry."""

    device: str
    token: str
    settings: EdgeSettings

    def report(self, registry: RegistryClient, error: PlumblineError | None, failed: str = "") -> None:
        """Send what runs here now, and what the update ended with: the error of the bundle called `failed`, or none.

        Raises RegistryUnavailable, RegistryRefused.
        """
        whose = "" if failed in ("", self.settings.name) else f"{failed}: "
        content = {
            "name": self.settings.name,
            "channel": self.settings.channel,
            "outcome": "ok" if error is None else reason_of(error),
            "message": "" if error is None else f"{whose}{error}"[:2000],
            **_running(self.settings),
        }
        registry.send(f"/v1/devices/{self.device}", self.token, content)


def reporter_of(settings: EdgeSettings) -> Reporter | None:
    """Who reports; None where no device is named. Raises InvalidSettings."""
    if not settings.device:
        return None
    path = settings.device_token_file or Path("device.token")
    try:
        return Reporter(settings.device, path.read_text(encoding="utf-8").strip(), settings)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"device token {str(path)!r} cannot be read: {error}; make one with `plumbline-registry token --scope"
            f" device --name {settings.device}` and name it with PLUMBLINE_EDGE_DEVICE_TOKEN_FILE"
        ) from error


def _running(settings: EdgeSettings) -> dict[str, str]:
    found: dict[str, str] = {}
    with suppress(PlumblineError):
        pose = open_bundle(StateFolder(settings.state).active_bundle_folder())
        found |= {"version": pose.manifest.version, "manifest_sha256": pose.manifest_sha256}
    with suppress(PlumblineError):
        judge = open_form_bundle(StateFolder(settings.judge_state).active_bundle_folder())
        found |= {"judge_name": judge.manifest.name, "judge_version": judge.manifest.version}
        found["judge_manifest_sha256"] = judge.manifest_sha256
    return found
