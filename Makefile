PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# Apart: what JupyterLab brings along makes every import of nbformat a second slower.
LAB := $(VENV)/jupyterlab

.DEFAULT_GOAL := help
.PHONY: help demo test check docs format clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## Grade the sample submissions and say where the reports are
	$(VENV)/bin/grader demo

test: $(STAMP) $(LAB)/.installed ## Run the whole suite
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadgroup

check: $(STAMP) ## Lint, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

docs: $(STAMP) ## Make the documentation site, build/docs/index.html
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs

format: $(STAMP) ## Put the code into its form
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

clean: ## Remove what was made here
	rm -rf $(VENV) build grader-demo reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster,dev,docs,postgresql]'
	touch $(STAMP)

$(LAB)/.installed: $(STAMP)
	$(PYTHON) -m venv $(LAB)
	$(LAB)/bin/python -m pip install --quiet --constraint constraints.txt jupyterlab
	touch $(LAB)/.installed
