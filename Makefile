.DEFAULT_GOAL := help
.PHONY: help sync lint types contracts test slow extras cuda schemas wheel changed workflows artifacts release bench docs ci
# Machinery that needs no package of the workspace installed.
TOOL := uv run --quiet --no-project --isolated --python '>=3.11' --with 'packaging>=24' python -m

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
sync: ## Install everything into .venv
	uv sync
lint: ## Check style and format
	uv run ruff check . && uv run ruff format --check .
types: ## Check types (strict)
	uv run mypy && uv run mypy tools
contracts: ## Check the import contracts
	uv run lint-imports
test: ## Run the fast tests
	uv run pytest
slow: ## Run the slow tests
	uv run pytest -m slow
extras: ## Check the large extras, each in an environment of its own: MLflow, W&B, Ray, Lightning, polars, beancount
	.ci/large_extras
cuda: ## Run the tests that need a GPU
	uv run pytest -n 0 -m cuda
schemas: ## Freeze the border schemas anew
	uv run python tests/contracts/borders.py
wheel: ## Build one wheel and test it alone: make wheel PACKAGE=moola-data [PYTHON=3.14] [RESOLUTION=lowest-direct]
	PYTHON=$(PYTHON) RESOLUTION=$(RESOLUTION) .ci/wheel_alone $(PACKAGE)
changed: ## Print the packages that a change touches: make changed BASE=origin/main
	@$(TOOL) tools.changed $(if $(JSON),--json) -- "$(BASE)"
workflows: ## Check the workflows: their schema, and their security
	.ci/workflows
artifacts: ## Build wheel, sdist and bill of materials into dist, and test them: make artifacts PACKAGE=moola-losses
	@$(TOOL) tools.artifacts "$(PACKAGE)"
release: ## Release: make release PACKAGE=moola-losses BUMP=minor [DATE=2026-11-21] [DRY_RUN=1]
	@$(TOOL) tools.release "$(PACKAGE)" "$(BUMP)" --date "$(or $(DATE),$(shell date -u +%F))" $(if $(DRY_RUN),--dry-run)
bench: ## List the benchmarks
	@cat benchmarks/README.md
docs: ## Build the site of the documentation into site/; a broken link or reference ends it
	uv run --isolated --only-group docs zensical build --clean --strict
ci: ## Everything CI runs
	.ci/run
