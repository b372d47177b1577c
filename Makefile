# The project's commands; `make` lists them. Every target sets up .venv first, once (scripts/setup.sh).
BIN := .venv/bin
PYTEST_ARGS ?=

# Nothing phones out: no hub, no usage statistics, no tracing. To override: make ... HF_HUB_OFFLINE=0
export HF_HUB_OFFLINE ?= 1
export HF_DATASETS_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1
export VLLM_NO_USAGE_STATS ?= 1
export DO_NOT_TRACK ?= 1
export LANGSMITH_TRACING ?= false

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs setup-demo setup-dev bundled-model vanilla-twin evaluate clean

help:  ## List the targets
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "  make %-14s%s\n", $$1, $$2 }' Makefile

demo: setup-demo  ## Watch the bundled model think far beyond its context window (no GPU, no server)
	@$(BIN)/python examples/demo.py

test: setup-dev  ## Lint, type-check and run all tests (some of them against a real vLLM server)
	@$(MAKE) --no-print-directory --silent lint || { status=$$?; echo "lint failed, see above; tests follow" >&2; }; \
	scripts/test.sh $(PYTEST_ARGS) && exit $${status:-0}

lint: setup-dev  ## ruff and mypy
	@$(BIN)/ruff check --output-format concise . || status=$$?; \
	$(BIN)/ruff format --check --quiet . || { status=$$?; echo "layout: run ruff format" >&2; }; \
	$(BIN)/mypy && exit $${status:-0}

docs: setup-dev  ## Build the documentation site into build/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

setup-demo:  ## Environment for the demo and the evaluation
	@scripts/setup.sh demo

setup-dev:  ## Environment for everything
	@scripts/setup.sh dev

STAGE = stage() { test -f runs/$$1/final/README.md || $(BIN)/python -m sft.train --config sft/recipes/$$1.yaml --resume; }

bundled-model: setup-dev  ## Train the bundled model and install it (about an hour on 2 CPU cores; resumes)
	$(STAGE); stage bundled && stage bundled_finish
	$(BIN)/python -m sft.bundle --config sft/recipes/bundled_ends.yaml --to inftythink_graph/models/bundled

vanilla-twin: setup-dev  ## Train its twin that thinks in one chain and install it (half an hour; resumes)
	$(BIN)/python -m sft.bundle --config sft/recipes/vanilla_twin.yaml --to inftythink_graph/models/vanilla_twin

evaluate: setup-demo  ## Bundled model against its twin: the table in the README
	$(BIN)/python benchmarks/long_horizon.py

clean:  ## Remove .venv, caches and build products; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
