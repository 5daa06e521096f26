.DEFAULT_GOAL := help
.PHONY: help sync lint types contracts test slow cuda schemas wheel bench ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
sync: ## Install everything into .venv
	uv sync
lint: ## Check style and format
	uv run ruff check . && uv run ruff format --check .
types: ## Check types (strict)
	uv run mypy
contracts: ## Check the import contracts
	uv run lint-imports
test: ## Run the fast tests
	uv run pytest
slow: ## Run the slow tests
	uv run pytest -m slow
cuda: ## Run the tests that need a GPU
	uv run pytest -m cuda
schemas: ## Freeze the border schemas anew
	uv run python tests/contracts/borders.py
wheel: ## Build one wheel and test it alone: make wheel PACKAGE=moola-data
	.ci/wheel_alone $(PACKAGE)
bench: ## List the benchmarks
	@cat benchmarks/README.md
ci: ## Everything CI runs
	.ci/run
