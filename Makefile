# `make` lists the targets. Another interpreter: make setup PYTHON=python3.13

PYTHON ?=
python3 := $(or $(PYTHON),python3)
bin := .venv/bin
networks := configs/depth.toml configs/vgg.toml configs/resnet.toml

.PHONY: help setup run verify depth docs test lint bench bench-rqmc rivals soak clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

setup: .venv/.ready ## make .venv with gradstat and its development tools

run: setup ## sample configs/series.toml into results/series.parquet
	@mkdir -p results
	@$(bin)/gradstat run configs/series.toml -o results/series.parquet

verify: setup ## decide all claims of configs/claims; writes results/verification.md and .parquet
	@mkdir -p results
	@$(bin)/gradstat verify -o results/verification.md -o results/verification.parquet

docs: setup ## write the parts of README.md that are made from the code
	@$(bin)/python -m tests.readme

depth: setup ## scale networks by every scheme, both directions; writes the tables and pictures of docs/networks.md
	@$(bin)/gradstat propagate $(networks) --pictures docs --format json | $(bin)/python examples/depth_report.py - docs/networks.md

test: setup ## run the tests
	@$(bin)/pytest -n auto

lint: setup ## check style, format and types
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy

bench: setup ## measure speed against what is installed; writes results/bench.md
	@mkdir -p results
	@$(bin)/python -m tests.bench

bench-rqmc: setup ## measure rqmc against mc; writes results/rqmc.md
	@$(bin)/python -m tests.bench_rqmc

rivals: setup ## install jax, torch and mkl_random (gigabytes) for bench to compare with
	@if command -v uv >/dev/null; then uv pip install -q --python $(bin)/python -e '.[bench]'; \
	else $(bin)/python -m pip install -q --disable-pip-version-check -e '.[bench]'; fi

soak: setup ## kill, interrupt and damage runs for SECONDS=60, and count what was lost
	@$(bin)/python -m tests.soak $(or $(SECONDS),60)

clean: ## remove .venv and caches; results/ stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# A working .venv is kept and updated; a broken or half-made one is made anew.
.venv/.ready: pyproject.toml
	@echo "Setting up .venv ..."
	@if command -v uv >/dev/null; then $(with_uv); else $(with_pip); fi
	@touch $@

with_uv = set -e; \
	$(bin)/python -c '' 2>/dev/null || { rm -rf .venv; uv venv -q $(if $(PYTHON),--python $(PYTHON)) .venv; }; \
	uv pip install -q --python $(bin)/python -e '.[dev]'

with_pip = set -e; \
	fail() { echo "gradstat: $$*" >&2; exit 1; }; \
	$(bin)/python -m pip --version >/dev/null 2>&1 || { \
		found=$$($(python3) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
			|| fail "Python 3.11 or newer is needed, and $(python3) does not run; install it (Debian: apt install python3-venv) or name another: make setup PYTHON=..."; \
		$(python3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
			|| fail "Python 3.11 or newer is needed, and $(python3) is $$found; name a newer one: make setup PYTHON=..."; \
		rm -rf .venv; \
		said=$$($(python3) -m venv .venv 2>&1) || { \
			rm -rf .venv; \
			case "$$said" in \
				*ensurepip*) fail "$(python3) cannot make virtual environments; run: apt install python3-venv";; \
				*) fail "$(python3) -m venv failed: $$said";; \
			esac; \
		}; \
	}; \
	$(bin)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
