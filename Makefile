# `make demo` runs the nano grid, `make test` checks the project, `make notebooks` writes the
# notebooks with what they show, `make examples` makes the studies that ship anew.
# All make .venv and install what is missing; PYTHON=... picks another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STUDY ?= studies/demo

BROWSERS := chromium chromium-browser google-chrome google-chrome-stable chrome

.PHONY: demo test browser notebooks examples clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	@echo "== running the nano grid into $(STUDY); run again to resume"
	@$(BIN)/trilemma run nano --study $(STUDY)

test: export OMP_NUM_THREADS := 1
test: $(INSTALLED) browser
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import-linter"
	@$(BIN)/lint-imports
	@echo "== pytest"
	@$(BIN)/pytest

# pages and pictures are tested in a real one
browser:
	@for name in $${BROWSER_PATH:-$(BROWSERS)}; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "== installing chromium"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
	    echo "== no Chromium: tests of pages and pictures are skipped; install it, or set BROWSER_PATH"; \
	fi

notebooks: export OMP_NUM_THREADS := 1
notebooks: $(INSTALLED)
	@echo "== executing the notebooks; they become these pages:"
	@$(BIN)/python -c 'from analysis.notebooks.pages import write_pages; write_pages("build/notebooks")'

examples: $(INSTALLED)
	@for name in nano_seeds nano_mamba; do \
	    $(BIN)/trilemma run $$name --study studies/$$name && \
	    $(BIN)/trilemma judge studies/$$name --judge refusal_prefix && \
	    rm -rf analysis/examples/$$name && \
	    $(BIN)/python -c 'import sys; from grid.sharing import share_study; share_study(*sys.argv[1:])' \
	        studies/$$name analysis/examples/$$name || exit 1; \
	done

# torch comes first: a package that is built from source may look for it
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trilemma needs Python 3.11 or newer; try make PYTHON=python3.11")'
	@echo "== making $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "== installing torch"
	@$(PIP) install -c constraints.txt torch==2.13.0
	@echo "== installing trilemma and the rest; this takes some minutes"
	@$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
