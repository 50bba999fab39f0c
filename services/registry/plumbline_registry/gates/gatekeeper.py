"""Judges each move that a set of signed documents would make, before the set is taken."""

from __future__ import annotations

from collections.abc import Iterable

from plumbline_contract.manifest import FORM_OUTDATED, FormManifest, Manifest
from plumbline_registry.errors import Forbidden, GateRefused
from plumbline_registry.gates.rules import FORM_RULES, RULES, Limits, Measured, MeasuredForm, Verdict
from plumbline_registry.manifests import Manifests
from plumbline_registry.metadata_store import Move
from plumbline_registry.settings import Settings
from plumbline_registry.tokens import Grant


class Gatekeeper:
    """The gates of one registry, as its settings have them."""

    def __init__(self, settings: Settings, manifests: Manifests) -> None:
        self._manifests = manifests
        self._channels = frozenset(settings.gated_channels.split(","))
        self._limits = Limits(
            settings.gate_ap_drop, settings.gate_parity_px, settings.gate_parity_ap, settings.gate_latency_growth
        )

    def judge(self, moves: Iterable[Move], grant: Grant) -> dict[tuple[str, str], str]:
        """What the gates say, by channel and bundle. Raises GateRefused, Forbidden."""
        return {(move.entry.channel, move.entry.name): self._judge(move, grant) for move in moves}

    def _judge(self, move: Move, grant: Grant) -> str:
        entry = move.entry
        if entry.channel not in self._channels:
            return f"{entry.channel} has no gates"
        if move.given_before:
            return "given by this channel before: going back is always open"
        if entry.waives_gates:
            if "admin" not in grant.scopes:
                raise Forbidden(f"token {grant.name!r} may not waive gates; that needs the scope 'admin'")
            return f"waived by {grant.name}"
        verdicts = self._verdicts(entry.manifest_sha256, move.current_sha256)
        if refused := [verdict for verdict in verdicts if not verdict.passed]:
            raise GateRefused(
                f"{entry.name} {entry.version} does not pass into {entry.channel}:"
                f" {'; '.join(map(str, refused))}. Mend it, or promote with --waive-gates and a token of scope 'admin'"
            )
        return "; ".join(map(str, verdicts))

    def _verdicts(self, sha256: str, current_sha256: str | None) -> list[Verdict]:
        candidate = self._manifests.manifest(sha256)
        current = None if current_sha256 is None else self._manifests.manifest(current_sha256)
        if current is not None and current.kind != candidate.kind:
            return [Verdict("lineage", False, f"is a {candidate.kind} model and replaces a {current.kind} model")]
        if isinstance(candidate, FormManifest):
            if not candidate.spec.is_current:
                return [Verdict("lineage", False, FORM_OUTDATED)]
            form = MeasuredForm(current) if isinstance(current, FormManifest) else None
            return [rule(MeasuredForm(candidate), form, self._limits) for rule in FORM_RULES.values()]
        pose = self._measured(current) if isinstance(current, Manifest) else None
        return [rule(self._measured(candidate), pose, self._limits) for rule in RULES.values()]

    def _measured(self, manifest: Manifest) -> Measured:
        return Measured(manifest, self._manifests.evaluation(manifest))
