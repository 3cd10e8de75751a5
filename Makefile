# `make serve` runs Heliograph, `make test` proves it. Both set up what they need.
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT := .venv
# Never reach for another interpreter than the one that is here.
export UV_PYTHON_DOWNLOADS := never

.PHONY: help serve test peers check fix fuzz bench crash clean bench-peers bench-costs bench-growth crash-smpp \
	compiled test-compiled crash-compiled

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'

.venv/.run-ready: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --locked --no-dev --inexact --python $(PYTHON)
	@touch $@

.venv/.dev-ready: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --locked --inexact --python $(PYTHON)
	@touch $@

# An environment of its own: compiled files beside the sources would hide every later change of them.
.compiled/.ready: $(UV) pyproject.toml uv.lock $(shell find src -name '*.py')
	UV_PROJECT_ENVIRONMENT=.compiled $(UV) sync --quiet --locked --no-dev --no-install-project --python $(PYTHON)
	rm -rf build/compiled
	HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(UV) build --quiet --python $(PYTHON) --out-dir build/compiled
	$(UV) pip install --quiet --python .compiled/bin/python --no-deps --reinstall build/compiled/*.whl
	@touch $@

serve: .venv/.run-ready  ## run the gateway with the embedded database in ./var
	$(BIN)/heliograph serve $(ARGS)

test: .venv/.dev-ready  ## everything that must hold, in under ten minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

peers:  ## install the foreign programs of tests marked debian (as root, on Debian)
	scripts/install_peers.sh

compiled: .compiled/.ready  ## the same program with its hot path as machine code (needs a C compiler): .compiled/bin/heliograph

WITH_COMPILED := PYTHONPATH=$$(echo $(CURDIR)/.compiled/lib/python*/site-packages)

test-compiled: .venv/.dev-ready .compiled/.ready  ## the tests of the program against that build; ARGS
	$(WITH_COMPILED) $(BIN)/python -m pytest -n auto --maxprocesses 4 \
		--dist loadfile tests/unit tests/property tests/contract tests/e2e $(ARGS)

check: .venv/.dev-ready  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: .venv/.dev-ready  ## let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.run-ready  ## messages a second, CPU, latency, losses (ARGS=--help)
	$(BIN)/python bench/run.py $(ARGS)

bench-peers: .venv/.dev-ready  ## the same work through Kannel, Jasmin and Heliograph (ARGS=--help)
	$(BIN)/python bench/side_by_side.py $(ARGS)

bench-costs: .venv/.dev-ready  ## CPU a message, stage by stage; fails when a stage doubled
	$(BIN)/python bench/costs.py $(ARGS)

bench-growth: .venv/.dev-ready  ## the same figures on a grown installation (ARGS=--help)
	$(BIN)/python bench/growth.py $(ARGS)

fuzz: .venv/.dev-ready  ## random octets against the parsers; SECONDS=60
	$(BIN)/python tests/fuzz/smpp_framing.py --seconds $(or $(SECONDS),60)
	$(BIN)/python tests/fuzz/smpp_door.py --seconds $(or $(SECONDS),60)

crash: .venv/.dev-ready  ## kill -9 and cut links under load; prove that nothing was lost
	$(BIN)/python bench/crash.py $(ARGS)

crash-smpp: .venv/.dev-ready  ## the same over SMPP: every answered message has its receipt
	$(BIN)/python bench/crash_smpp.py $(ARGS)

crash-compiled: .venv/.dev-ready .compiled/.ready  ## both against the compiled program
	$(WITH_COMPILED) $(BIN)/python bench/crash.py
	$(WITH_COMPILED) $(BIN)/python bench/crash_smpp.py

clean:  ## remove the environment and everything built
	rm -rf .venv .compiled .uv .mypy_cache .ruff_cache .pytest_cache build dist
