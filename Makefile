# fedaemon: `make run` starts local mode, `make test` runs every test, `make help` lists the rest.

VENV     := .venv
BOOKWORM := .venv-bookworm
PYTHON   := python3
BIN      := $(VENV)/bin
JOBS     := 2

.PHONY: help venv venv-bookworm run check test test-bookworm soak interop crash bench docs man deb test-debian format clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

venv: $(VENV)/.installed  ## make .venv with the package and its tools installed

$(VENV)/.installed: setup.cfg pyproject.toml
	@etc/need-python $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[check,test]'
	@touch $@

venv-bookworm: $(BOOKWORM)/.installed  ## make .venv-bookworm with Debian bookworm's versions of the dependencies

$(BOOKWORM)/.installed: setup.cfg pyproject.toml tests/bookworm.txt
	@etc/need-python $(PYTHON)
	$(PYTHON) -m venv $(BOOKWORM)
	$(BOOKWORM)/bin/pip install --quiet --disable-pip-version-check -r tests/bookworm.txt
	$(BOOKWORM)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: venv  ## start local mode in var/local (SMTP, IMAP and POP3 on ports from 10025 on, 127.0.0.1)
	$(BIN)/fedaemonctl local var/local

check: venv  ## formatting, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py tests/test_standards.py

format: venv  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: venv  ## run all tests
	@tests/prepare
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests --ignore=tests/debian

test-bookworm: venv-bookworm  ## run unit and end-to-end tests on Debian bookworm's versions
	@tests/prepare
	$(BOOKWORM)/bin/python -m pytest -n $(JOBS) --dist loadfile tests --ignore=tests/interop --ignore=tests/crash --ignore=tests/debian

crash: venv  ## the long crash suite: several hundred kills under load
	CRASH_ROUNDS=300 $(BIN)/python -m pytest tests/crash

soak: venv  ## the long forms: 100,000 commands of ten IMAP sessions, and answers beside Dovecot's
	CONSISTENCY_COMMANDS=100000 $(BIN)/python -m pytest tests/imap/test_consistency.py
	DIFFERENTIAL_EXAMPLES=1500 $(BIN)/python -m pytest tests/interop -k differential

interop: venv  ## real clients against local mode, with a line for each integration
	@tests/prepare
	$(BIN)/python -m pytest -p tests.interop.summary tests/interop

bench: venv  ## measure against Postfix and Dovecot in the same run, and a queue of a million
	$(BIN)/python -m bench.accept
	$(BIN)/python -m bench.relay
	$(BIN)/python -m bench.imap
	$(BIN)/python -m bench.queue_scale
	$(BIN)/python -m bench.mailbox_layout

deb:  ## build the Debian package from the working tree, and print where it is
	@etc/make-deb build/deb

test-debian: venv  ## build, install, run and remove the package in a container (as root on Debian)
	@tests/prepare
	$(BIN)/python -m pytest -v tests/debian

docs: venv  ## write anew what is generated: man pages of commands and settings, completion for bash
	$(BIN)/python -m docs.manual

MAN_PAGES := $(basename $(notdir $(wildcard docs/man/*.md)))

man:  ## make man pages of docs/man in build/man (needs lowdown)
	@mkdir -p build/man
	@for page in $(MAN_PAGES); do \
	  lowdown -s -Tman -M title=$${page%.*} -M section=$${page##*.} -M source=fedaemon -M volume="fedaemon manual" \
	    -o build/man/$$page docs/man/$$page.md || exit 1; \
	done

clean:  ## remove what the targets made, but not var/
	rm -rf $(VENV) $(BOOKWORM) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
