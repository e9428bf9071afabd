# `make run` and `make test` do all the set-up on a bare Debian or Ubuntu with Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test lock audit man

CONFIG = $(if $(wildcard mailingest.toml),--config mailingest.toml)

# Either one takes the other along when it ends, and its exit code is that of all.
run: SHELL = /bin/bash
run: $(VENV)/run
	@trap 'stop=yes; kill $$run $$web 2>/dev/null' INT TERM; \
	$(VENV)/bin/mailingest run $(CONFIG) & run=$$!; \
	$(VENV)/bin/mailingest web $(CONFIG) & web=$$!; \
	wait -n; code=$$?; trap '' INT TERM; [ "$$stop" ] || kill $$run $$web 2>/dev/null; \
	wait $$run; ran=$$?; wait $$web; exit $$([ "$$stop" ] && echo $$ran || echo $$code)

test: $(VENV)/dev
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" .ci/system-packages
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" .ci/check

lock:
	.ci/lock

# Manual pages, in build/man.
man: $(VENV)/run
	$(VENV)/bin/python -m docs.man build/man

audit: $(VENV)/audit/done
	PATH="$(CURDIR)/$(VENV)/audit/bin:$$PATH" .ci/audit

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mailingest needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV) || { echo 'Install venv first: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/run: $(VENV)/bin/pip requirements/run.txt pyproject.toml
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/run.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/audit/done: $(VENV)/bin/pip requirements/audit.txt
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --require-hashes -r requirements/audit.txt
	touch $@

$(VENV)/dev: $(VENV)/bin/pip requirements/dev.txt pyproject.toml
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/dev.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@ $(VENV)/run
