# `make run` and `make test` do all the set-up on a bare Debian or Ubuntu with Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test test-compiled coverage lock audit man wheel wheel-pure wheel-compiled wheelhouse
.PHONY: deb container release bench bench-page

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

# The tests once more, on what is in the compiled wheel.
test-compiled: $(VENV)/dev
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" .ci/system-packages
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" .ci/check-compiled

# The tests once more, with the share of the code that they run; fails where that is too small.
coverage: export COVERAGE = yes
coverage: test

lock:
	.ci/lock

# Manual pages, in build/man.
man: $(VENV)/run
	$(VENV)/bin/python -m docs.man build/man

BUILD_PATH = $(CURDIR)/$(VENV)/build/bin:$$PATH

# In dist/, the same bytes from the same files.  The pure wheel is for every machine, the compiled one
# for this kind of machine and this version of Python.
wheel: wheel-pure wheel-compiled

wheel-pure: $(VENV)/build/done
	rm -f dist/mailingest-*-none-any.whl
	$(VENV)/build/bin/python -m hatchling build --target wheel

wheel-compiled: export HATCH_BUILD_HOOK_ENABLE_CUSTOM = true
wheel-compiled: $(VENV)/build/done
	rm -f dist/mailingest-*-cp*.whl
	@if command -v cc >/dev/null; then $(VENV)/build/bin/python -m hatchling build --target wheel; \
	else echo 'No compiled wheel, since there is no C compiler: apt-get install gcc python3-dev'; fi

# All that the wheel needs, in build/wheels: .deb and container are made of it without a network.
wheelhouse: $(VENV)/build/done
	PATH="$(BUILD_PATH)" .ci/packages/wheelhouse build/wheels

# For Debian 12 and 13, in dist/.
deb: wheel-pure wheelhouse
	.ci/packages/deb dist/mailingest-*-none-any.whl build/wheels dist

# With podman, buildah or docker (whose format has health checks); BASE is the image with Python that it stands on.
BUILDER ?= podman
COMMITTED = $(shell git log -1 --format=%ct)
container: wheel-pure wheelhouse
	rm -rf build/container
	mkdir -p build/container/wheels
	cp dist/mailingest-*-none-any.whl build/wheels/*.whl build/container/wheels
	BUILDAH_FORMAT=docker $(BUILDER) build --network none --tag mailingest \
	  $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg SOURCE_DATE_EPOCH=$(COMMITTED) \
	  $(if $(filter docker,$(BUILDER)),,--timestamp $(COMMITTED)) \
	  --file .ci/packages/Containerfile build/container

# All of a release in dist/, and its tag, which is there when everything else is.
release:
	.ci/packages/release-check
	rm -rf dist
	$(MAKE) --no-print-directory deb wheel-compiled $(VENV)/audit/done
	$(VENV)/build/bin/python -m hatchling build --target sdist
	PATH="$(CURDIR)/$(VENV)/audit/bin:$$PATH" .ci/sbom dist/mailingest.cdx.json
	cd dist && sha256sum -- * > SHA256SUMS
	tag=v$$(.ci/packages/release-check) && \
	{ git rev-parse --quiet --verify "refs/tags/$$tag" || git tag --annotate --message "$$tag" "$$tag"; }

# mailingest and other programs on the same log, from one run; how costs grow with size (`CURVES=` for
# the largest sizes as well); and docs/performance.md, with its pictures.
LINES ?= 1000000
CURVES ?= --quick
bench: $(VENV)/dev
	.ci/bench-packages
	$(VENV)/bin/python -m benchmarks.parse --lines $(LINES) --save
	$(VENV)/bin/python -m benchmarks.curves $(CURVES) --save
	$(MAKE) --no-print-directory bench-page

# The tables and pictures of what was measured last, and the flame graph.
bench-page: $(VENV)/dev $(VENV)/bench/done
	$(VENV)/bin/python -m benchmarks.page
	$(VENV)/bench/bin/python -m benchmarks.plots
	mkdir -p build && $(VENV)/bin/python -m benchmarks.generate --lines 300000 --seed 1 build/flame.log
	$(VENV)/bench/bin/py-spy record --function --rate 200 --format raw --output build/flame.raw -- \
	  $(VENV)/bin/python -m mailingest parse build/flame.log >/dev/null
	$(VENV)/bin/python -m benchmarks.flame build/flame.raw docs/performance/flame.svg

audit: $(VENV)/audit/done
	PATH="$(CURDIR)/$(VENV)/audit/bin:$$PATH" .ci/audit

$(VENV)/bin/pip:
	@echo 'Making a virtual environment in $(VENV).'
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mailingest needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV) || { echo 'Install venv first: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/run: $(VENV)/bin/pip requirements/run.txt pyproject.toml
	@echo 'Installing what mailingest needs into $(VENV); this takes a minute or so.'
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/run.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/audit/done: $(VENV)/bin/pip requirements/audit.txt
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --require-hashes -r requirements/audit.txt
	touch $@

$(VENV)/bench/done: $(VENV)/bin/pip requirements/bench.txt
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	touch $@

$(VENV)/build/done: $(VENV)/bin/pip requirements/build.txt
	$(PYTHON) -m venv $(VENV)/build
	$(VENV)/build/bin/pip install --quiet --require-hashes -r requirements/build.txt
	touch $@

$(VENV)/dev: $(VENV)/bin/pip requirements/dev.txt pyproject.toml
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/dev.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@ $(VENV)/run
