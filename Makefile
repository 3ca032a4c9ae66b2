# `make` lists the targets. Another interpreter: make setup PYTHON=python3.13

PYTHON ?=
python3 := $(or $(PYTHON),python3)
bin := .venv/bin
oldest := .venv-oldest/bin
comma := ,
networks := configs/depth.toml configs/vgg.toml configs/resnet.toml

.PHONY: help setup run verify depth docs site test test-oldest lint bench bench-rqmc calibrate rivals soak build release clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

setup: .venv/.dev ## make .venv with gradstat and its development tools

run: .venv/.run ## sample configs/series.toml into results/series.parquet
	@mkdir -p results
	@$(bin)/gradstat run configs/series.toml -o results/series.parquet
	@echo "written to results/series.parquet; the command is $(bin)/gradstat" >&2

verify: .venv/.run ## decide all claims of configs/claims; writes results/verification.md and .parquet
	@mkdir -p results
	@$(bin)/gradstat verify -o results/verification.md -o results/verification.parquet

docs: setup ## write the parts of README.md, docs/ and configs/ that are made from the code
	@$(bin)/python -m tests.docs

site: setup ## build the pages of docs/ into site/; every warning is an error
	@$(call install,.venv,-e '.[docs]')
	@NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict --quiet

depth: setup ## scale networks by every scheme, both directions; writes the tables and pictures of docs/networks.md
	@$(bin)/gradstat propagate $(networks) --pictures docs --format json | $(bin)/python examples/depth_report.py - docs/networks.md

test: setup ## run the tests
	@$(bin)/pytest -n auto

test-oldest: ## run a part of the tests with the lowest versions that pyproject.toml declares
	@$(call venv,.venv-oldest)
	@$(oldest)/python -m tests.oldest > .venv-oldest/constraints.txt
	@$(call install,.venv-oldest,-c .venv-oldest/constraints.txt -e '.[plot$(comma)dask]' pytest hypothesis jsonschema)
	@$(oldest)/python -m pytest -q tests/test_installed.py tests/test_shipped.py tests/test_config.py

lint: setup ## check style, format and types
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy

bench: setup ## measure speed against what is installed; writes results/bench.md
	@mkdir -p results
	@$(bin)/python -m tests.bench

bench-rqmc: setup ## measure rqmc against mc; writes results/rqmc.md
	@$(bin)/python -m tests.bench_rqmc

calibrate: setup ## measure whether intervals cover and checks raise false alarms; writes docs/calibration.md
	@$(bin)/python -m tests.calibrate

rivals: setup ## install jax, torch and mkl_random (gigabytes) for bench to compare with
	@$(call install,.venv,-e '.[bench]')

soak: setup ## kill, interrupt and damage runs for SECONDS=60, and count what was lost
	@$(bin)/python -m tests.soak $(or $(SECONDS),60)

build: setup ## make the wheel and the source distribution in dist/
	@rm -rf dist
	@$(call install,.venv,build)
	@$(bin)/python -m build --outdir dist . >/dev/null
	@ls -l dist

release: lint test test-oldest build ## check a release; says what is left to do by hand
	@echo "In CHANGELOG.md, name the version that gradstat/__init__.py has; then: git tag v$$($(bin)/python -c 'import gradstat; print(gradstat.__version__)')"
	@echo "and push the tag: .github/workflows/release.yml builds and publishes it."

clean: ## remove the environments and caches; results/ stays
	@rm -rf .venv .venv-oldest .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist site
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# Environments. A working one is kept and updated; a broken or half-made one is made again. What only runs gradstat
# needs no development tools: .run. The tools come on top of it: .dev.

.venv/.run: pyproject.toml
	@echo "Setting up .venv ..."
	@$(call venv,.venv)
	@$(call install,.venv,-e .)
	@touch $@

.venv/.dev: .venv/.run
	@echo "Installing development tools ..."
	@$(call install,.venv,-e '.[dev]')
	@touch $@

install = if command -v uv >/dev/null; then uv pip install -q --python $(1)/bin/python $(2); \
	else $(1)/bin/python -m pip install -q --disable-pip-version-check $(2); fi

venv = set -e; \
	fail() { echo "gradstat: $$*" >&2; exit 1; }; \
	if command -v uv >/dev/null; then \
		$(1)/bin/python -c '' 2>/dev/null || { rm -rf $(1); uv venv -q $(if $(PYTHON),--python $(PYTHON)) $(1); }; \
	elif ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
		version=$$($(python3) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
			|| fail "Python 3.11 or newer is needed, and $(python3) does not run; install it (Debian: apt install python3-venv) or name another: make setup PYTHON=..."; \
		$(python3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
			|| fail "Python 3.11 or newer is needed, and $(python3) is $$version; name a newer one: make setup PYTHON=..."; \
		rm -rf $(1); \
		output=$$($(python3) -m venv $(1) 2>&1) || { \
			rm -rf $(1); \
			case "$$output" in \
				*ensurepip*) fail "$(python3) cannot make virtual environments; run: apt install python3-venv";; \
				*) fail "$(python3) -m venv failed: $$output";; \
			esac; \
		}; \
	fi
