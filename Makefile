PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# JupyterLab has a separate environment: its dependencies make each import of nbformat a second slower.
LAB := $(VENV)/jupyterlab
# So has the learning platform that the portal's tests run against: Open edX's plugin needs its own versions of things.
LTI := $(VENV)/lti-platform
TEST := $(VENV)/bin/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check docs format clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## Grade the sample submissions and print where the reports are
	$(VENV)/bin/grader demo

test: $(STAMP) ## Run the tests
	$(TEST) -m "not slow"

test-slow: $(STAMP) $(LAB)/.installed $(LTI)/.installed ## Run the tests that take long
	$(TEST) -m slow

check: $(STAMP) ## Check style, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

docs: $(STAMP) ## Build the documentation site, build/docs/index.html
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs

format: $(STAMP) ## Format the code
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

clean: ## Remove the environment and all other files made by these commands
	rm -rf $(VENV) build grader-demo reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster,dev,docs,postgresql]'
	touch $(STAMP)

$(LAB)/.installed: $(STAMP)
	$(PYTHON) -m venv $(LAB)
	$(LAB)/bin/python -m pip install --quiet --constraint constraints.txt jupyterlab
	touch $(LAB)/.installed

# The platform needs Python 3.11. Without it, its tests are skipped.
$(LTI)/.installed: $(STAMP) tests/portal/lti/constraints.txt
	$(PYTHON) -m venv $(LTI)
	if $(LTI)/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		$(LTI)/bin/python -m pip install --quiet --constraint tests/portal/lti/constraints.txt lti-consumer-xblock cryptography; \
	fi
	touch $(LTI)/.installed
