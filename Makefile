# Everything that this project needs is fetched into the checkout: .tools (uv), .venv (the project and its tools),
# .cache (what the demo makes). The machine itself needs Python 3.11 or newer with pip, git and make.

UV_VERSION = 0.13.9
UV = .tools/bin/uv
BIN = .venv/bin

# A Python is found by running it: some version managers put a name on the path that only tells how to choose one.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
endif

# The chosen interpreter is used, and never one that uv would download.
export UV_PYTHON_DOWNLOADS = never
# uv keeps what it has fetched where the user's other projects find it, or here.
ifndef UV_CACHE_DIR
export UV_CACHE_DIR := $(shell d="$${XDG_CACHE_HOME:-$$HOME/.cache}/uv"; \
	mkdir -p "$$d" 2>/dev/null && test -w "$$d" && echo "$$d" || echo "$(CURDIR)/.cache/uv")
endif
# Whatever the locale is: Python reads the path of this checkout by it, also where it leaves aside its own variables.
export LC_ALL = C.UTF-8
export PYTHONUTF8 = 1
# uv warns about an active environment that is not this one.
unexport VIRTUAL_ENV

# Most tests wait for a process or a server: one worker for each processor, and each file within one of them. In the
# order of their names, because the files with the fewest tests, which would come last, have the longest ones.
SIDE_BY_SIDE = --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo psql test coverage calendar simulate quick lint format docs dist constraints clean
.DEFAULT_GOAL = help

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: .venv/.installed ## Install the project, Meltano and some loaders in .venv

demo: .venv/.installed ## Run the whole road once: a made-up API, Meltano, Postgres, and what arrived
	@$(BIN)/python -m demo

# The shell takes the statements from the environment, where quotes and dollars stay what they are.
psql: override export SQL := $(value SQL)
psql: .venv/.installed ## Look at what the last demo left in Postgres, with SQL (SQL="select 1" runs one query)
	@$(BIN)/python -m demo.psql $(if $(value SQL),--command "$$SQL")

test: lint .cache/dagster/.tried .cache/target-jsonl/.tried ## Check the code, and run all tests
	@echo "==> tests, all of them"
	@$(BIN)/pytest $(SIDE_BY_SIDE)
	@echo "==> what has to do with time, at two other instants"
	@$(BIN)/python -m tests.calendar --few

coverage: .venv/.installed .cache/dagster/.tried .cache/target-jsonl/.tried ## Run all tests, and report which lines they do not reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

calendar: .venv/.installed ## Run the tests that have to do with time at many instants, for an hour
	@$(BIN)/python -m tests.calendar

simulate: .venv/.installed ## Play SEEDS made-up servers and rows of runs in this process (SEED=123 plays and prints one)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),10000))

quick: .venv/.installed ## Run the tests that take less than a minute together
	@echo "==> tests, the quick ones"
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow"

lint: .venv/.installed ## Check style and types
	@echo "==> style (ruff)"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@echo "==> types (mypy)"
	@$(BIN)/mypy

format: .venv/.installed ## Bring the code into the project's style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# In a folder of its own: the generator takes .cache for its own, and empties it.
docs: .venv/.installed ## Write the pages that tell facts of the code, and build docs/ as a site
	@$(BIN)/python -m docs.generate
	@rm -rf .cache/docs && mkdir -p .cache/docs && cp -R docs zensical.toml .cache/docs && rm -rf .cache/docs/docs/__pycache__
	@cd .cache/docs && ../../$(BIN)/zensical build --strict
	@echo "==> open .cache/docs/site/index.html"

dist: .venv/.installed ## Build both packages into dist/, and check them as a package index does
	@rm -f dist/*.whl dist/*.tar.gz
	@$(BIN)/python -m hatchling build --directory dist
	@cd loader && ../$(BIN)/python -m hatchling build --directory ../dist
	@$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

constraints: $(UV) ## Resolve the exact versions in constraints.txt anew
	@echo "==> constraints.txt: resolving the newest versions that pyproject.toml allows"
	@$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --python $(PYTHON) \
		--no-annotate --no-header --no-emit-index-url --group dev pyproject.toml loader/pyproject.toml > .tools/constraints.txt
	@{ echo "# The exact versions that the project is developed and tested with; made by \`make constraints\`."; \
		cat .tools/constraints.txt; } > constraints.txt

clean: ## Remove everything that these commands made
	rm -rf .venv .tools .cache .meltano dist .coverage .mypy_cache .pytest_cache .ruff_cache output

# Naming the interpreter in a file, rewritten only when it differs, has another PYTHON make .venv anew.
.tools/python: FORCE
	@mkdir -p .tools
	@$(or $(PYTHON),false) -c 'import sys; print(sys.executable); sys.exit(sys.version_info < (3, 11))' \
		> .tools/python.new || { echo "Name a Python of 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@cmp -s .tools/python.new .tools/python || cp .tools/python.new .tools/python

# pip leaves alone what a distribution manages when it is given a directory of its own to install into. A Python without
# pip is most often that of an environment which uv made: there, uv is at hand.
$(UV): .tools/python Makefile
	@echo "==> uv $(UV_VERSION), into .tools"
	@rm -rf .tools/bin
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		PIP_USER=0 $(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check --no-warn-script-location \
			--root-user-action=ignore --upgrade --target .tools "uv==$(UV_VERSION)"; \
	elif command -v uv >/dev/null; then mkdir -p .tools/bin && cp "$$(command -v uv)" $(UV); \
	else echo "$(PYTHON) has no pip; Debian calls it python3-pip" >&2; exit 1; fi
	@touch $(UV)

.venv/.made: .tools/python | $(UV)
	@echo "==> environment: $$(cat .tools/python), as .venv"
	@$(UV) venv --quiet --clear --python "$$(cat .tools/python)" .venv
	@touch $@

# Compiled once here, not by each of the many processes that a demo or a test starts, where none may write what it compiled.
.venv/.installed: .venv/.made pyproject.toml loader/pyproject.toml constraints.txt | $(UV)
	@echo "==> environment: the project and its tools, into .venv"
	@$(UV) pip install --quiet --compile-bytecode --exact --python $(BIN)/python --constraints constraints.txt --group dev \
		--editable . --editable loader
	@touch $@

# What an example or a test needs in an environment of its own, so that no test fetches anything. Where it cannot be
# fetched, the test is left out, and the next `make test` tries again.
.cache/dagster/.tried: REQUIREMENTS = examples/dagster/requirements.txt
.cache/target-jsonl/.tried: REQUIREMENTS = tests/target-jsonl.txt
.cache/%/.tried: FORCE
	@if [ ! -e .cache/$*/.installed ] || [ $(REQUIREMENTS) -nt .cache/$*/.installed ]; then \
		echo "==> environment: $*, for a test, into .cache/$*"; mkdir -p .cache; \
		{ $(UV) venv --quiet --clear --python "$$(cat .tools/python)" .cache/$* && \
		$(UV) pip install --quiet --compile-bytecode --python .cache/$*/bin/python \
			--requirement $(REQUIREMENTS) "$$(grep ^time-machine== constraints.txt)" && \
		touch .cache/$*/.installed; } || echo "==> it cannot be fetched: the test that needs it is left out"; fi

FORCE:
