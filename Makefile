# Every target sets up what it needs; `make demo` and `make test` are enough from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS_READY := $(VENV)/.peers-ready
DALI_READY := $(VENV)/.dali-ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
# of DALI's dependencies: what reads single pictures, under NVIDIA's own licences; nothing here uses them
UNUSED := nvidia-nvimgcodec-cu13 nvidia-nvjpeg nvidia-nvjpeg2k-cu13 nvidia-nvtiff-cu13 nvidia-libnvcomp-cu13
# more processes than cores: tests wait for other processes much of their time
JOBS ?= 3
# tests start many processes, and each would compile everything anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-gpu demo test test-cameras test-dali lint proto lock bench clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 12

setup: $(READY) ## Make .venv from the lock file

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; try make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@echo "Setting up $(VENV) from requirements.lock (430 MB to fetch, 1.3 GB on disk; a minute or more)…"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

setup-gpu: $(READY) ## Make .venv fit for an NVIDIA GPU (Linux; 2 GB more to fetch)
	$(PIP) uninstall --quiet --yes onnxruntime
	$(PIP) install --quiet --no-deps --require-hashes -r deploy/gpu/requirements.lock
	@touch $(DALI_READY)

$(DALI_READY): $(READY) deploy/gpu/dali.lock
	$(PIP) install --quiet --no-deps --require-hashes -r deploy/gpu/dali.lock
	@touch $@

demo: $(READY) ## A face on a moving clip becomes a sighting; ARGS="--until-match --timeout 180"
	$(BIN)/dfip demo $(ARGS)

# in the order of folders: whole meshes first, so that no long file ends the run alone
test: $(READY) ## Every test, on JOBS processes; ARGS="-k name" for some
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-cameras: $(READY) ## Cameras of a real RTSP server (Debian's GStreamer) before the worker
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS) tests/cameras

test-dali: $(DALI_READY) ## The GPU's decoding graphs, run on the CPU (190 MB to fetch)
	$(BIN)/python -m pytest $(ARGS) tests/unit/vision_worker/decode/batches/test_dali.py

lint: $(READY) ## Format, rules, types, rooms, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m deploy.contracts lint
	$(BIN)/python -m deploy.contracts check
	$(BIN)/python -m deploy.contracts breaking --against '.git#ref=HEAD'

proto: $(READY) ## Generate proto/gen from the contracts
	$(BIN)/buf format -w proto
	$(BIN)/python -m deploy.contracts generate

$(PEERS_READY): $(READY) bench/peers/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench/peers/requirements.lock
	@touch $@

# a benchmark that lacks what it measures says so and ends with 2
bench: $(PEERS_READY) ## Every benchmark, as JSON, but the half hour of bench.soak
	@for file in bench/[a-z]*.py; do case $$file in */__init__.py|*/soak.py) ;; *) $(BIN)/python -m bench.$$(basename $$file .py) || [ $$? -eq 2 ] || exit 1;; esac; done

lock: ## Write the lock files anew (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --quiet -o requirements.lock
	uv pip compile --group bench -c requirements.lock --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-emit-find-links --quiet \
		-o bench/peers/requirements.lock
	uv pip compile --group dali -c requirements.lock --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-emit-find-links --quiet \
		$(addprefix --no-emit-package ,$(UNUSED) numpy packaging typing-extensions) -o deploy/gpu/dali.lock
	uv pip compile pyproject.toml --extra dev --extra gpu -c requirements.lock --generate-hashes \
		--universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --quiet \
		$(addprefix --no-emit-package ,$(UNUSED) onnxruntime) -o deploy/gpu/requirements.lock

clean: ## Remove what the targets made
	rm -rf $(VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
