"""Two registries over one database and one blob folder: one winner of each race, and one line of history."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.registry.conftest import TOKEN, Server, make_manifest, running, settings_in, tar_of
from tuf.api.metadata import Targets

from plumbline_contract.manifest import BUNDLE_FILES
from plumbline_registry.client import RegistryClient, RequestRefused
from plumbline_registry.trust.acceptance import Entry
from plumbline_registry.trust.documents import Document, parse, signed_as
from plumbline_registry.trust.signer import sign_once
from plumbline_registry.trust.signing import sign, with_entry

REPLICAS = st.sampled_from((0, 1))
NUMBERS = st.integers(0, 4)


class TwoReplicas(RuleBasedStateMachine):
    """What clients do in any order, beside what should come of it."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.replicas: list[Server] = [self._stack.enter_context(running(settings_in(folder))) for _ in range(2)]
        self.clients = [self._stack.enter_context(RegistryClient(server.url, TOKEN)) for server in self.replicas]
        self.operator = self.replicas[0].operator()
        self.published: dict[int, tuple[str, int]] = {}
        self.history: list[str] = []

    def teardown(self) -> None:
        self._stack.close()

    @rule(number=NUMBERS, seeds=st.tuples(st.integers(0, 2), st.integers(0, 2)))
    def publish_on_both_at_once(self, number: int, seeds: tuple[int, int]) -> None:
        """Different contents under one version: one is taken, or the one that was there stays."""
        bundles = [self._bundle(number, seed) for seed in seeds]
        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(self._put, self.replicas, bundles))
        winners = {bundles[i][1] for i in (0, 1) if statuses[i] in (200, 201)}
        assert set(statuses) <= {200, 201, 409}
        assert len(winners) <= 1
        assert statuses.count(201) == (1 if number not in self.published else 0)
        if winners and number not in self.published:
            self.published[number] = winners.pop()

    @rule(number=NUMBERS, replica=REPLICAS)
    def promote(self, number: int, replica: int) -> None:
        if number in self.published:
            document = self._document(number, replica)
            self.clients[replica].send_metadata([document])
            self._moved(number)

    @rule(first=NUMBERS, second=NUMBERS)
    def promote_on_both_at_once(self, first: int, second: int) -> None:
        if not {first, second} <= set(self.published):
            return
        documents = [self._document(first, 0), self._document(second, 1)]
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(self._send, self.clients, documents))
        assert sorted(outcomes) == ["metadata_conflict", "taken"]
        self._moved((first, second)[outcomes.index("taken")])

    @rule(replica=REPLICAS)
    def publish_what_was_signed(self, replica: int) -> None:
        sign_once(self.clients[replica], self.operator.keys)

    @invariant()
    def both_tell_the_same_story(self) -> None:
        for server in self.replicas:
            with server.client() as client:
                history = client.get("/v1/bundles/test-net/channels/stable/history").json().get("history", [])
                assert [move["version"] for move in reversed(history)] == self.history
                versions = client.get("/v1/bundles/test-net/versions").json().get("versions", [])
                listed = {version["version"]: version["manifest_sha256"] for version in versions}
                assert listed == {f"1.{number}.0": found[0] for number, found in self.published.items()}

    def _moved(self, number: int) -> None:
        version = f"1.{number}.0"
        if not self.history or self.history[-1] != version:
            self.history.append(version)

    def _bundle(self, number: int, seed: int) -> tuple[bytes, tuple[str, int]]:
        files = {file: np.random.default_rng(seed).bytes(300) for file in BUNDLE_FILES}
        manifest = make_manifest("test-net", f"1.{number}.0", files).to_json().encode()
        return tar_of([("manifest.json", manifest), *files.items()]), (
            hashlib.sha256(manifest).hexdigest(),
            len(manifest),
        )

    def _put(self, server: Server, bundle: tuple[bytes, tuple[str, int]]) -> int:
        number = bundle[0].split(b'"version": "1.')[1].split(b".")[0].decode()
        with server.client() as client:
            return client.put(f"/v1/bundles/test-net/versions/1.{number}.0", content=bundle[0]).status_code

    def _document(self, number: int, replica: int) -> Document:
        newest = self.clients[replica].metadata_versions()["stable"]
        current = signed_as(parse("stable", self.clients[replica].metadata("stable", newest)), Targets)
        sha256, size = self.published[number]
        entry = Entry("stable", "test-net", f"1.{number}.0", sha256, size, "a test")
        return sign("stable", with_entry(current, entry), self.operator.keys.signer("stable"))

    def _send(self, client: RegistryClient, document: Document) -> str:
        try:
            client.send_metadata([document])
        except RequestRefused as error:
            return str(error.code)
        return "taken"


TestTwoReplicas: Any = TwoReplicas.TestCase
TestTwoReplicas.settings = settings(
    max_examples=int(os.environ.get("PLUMBLINE_TEST_EXAMPLES", "3")),
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
