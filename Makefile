# The commands of a newcomer are `make quickstart`, `make` and `make test`; each sets up everything it needs.
# Objects and programs are CMake's and Ninja's affair (CMakePresets.json); this file only strings the steps together.
SHELL := /bin/bash
.DEFAULT_GOAL := program
.PHONY: program quickstart test build install test-gpu gpu-bundle format lint bench bench-gpu clean help bootstrap
PRESET ?= dev
PREFIX ?= /usr/local
BUILD := build/$(PRESET)

quickstart: program  ## build the program, and train a small model that sees on handwritten digits in about a minute
	@examples/quickstart/run.sh $(BUILD)/bin/lmms

program: configure  ## build the program, build/dev/bin/lmms, with CUDA where nvcc is; plain `make` is this
	@cmake --build $(BUILD) --target programs

test: build  ## build everything and run all tests that need no GPU
	@ctest --preset $(PRESET)

build: configure  ## build everything: program and tests (PRESET=dev|release|asan|tsan|gpu)
	@cmake --build --preset $(PRESET)

install: program  ## install the program under PREFIX (/usr/local; DESTDIR before it); a moved folder works too
	@cmake --install $(BUILD) --strip --prefix $(abspath $(PREFIX))

test-gpu: configure  ## run the tests that need a GPU
	@cmake --build $(BUILD) --target gpu_tests
	@ctest --test-dir $(BUILD) -L gpu --output-on-failure --no-tests=error

gpu-bundle:  ## pack what a GPU host needs into build/lmms-gpu.tar.gz; torch and pyarrow come from the host's Python
	@$(MAKE) --no-print-directory build PRESET=gpu
	@scripts/gpu_bundle.sh build/gpu build/lmms-gpu.tar.gz

bench: configure  ## build and run every benchmark of the CPU
	@cmake --build $(BUILD) --target benchmarks
	@for bench in $$(ls $(BUILD)/bin/*_bench | grep -v _gpu_bench); do echo "== $$bench"; $$bench || exit 1; done

bench-gpu: configure  ## time every kernel on this GPU, beside what the GPU can do
	@cmake --build $(BUILD) --target gpu_benchmarks
	@$(BUILD)/bin/kernels_gpu_bench

format:  ## lay out all sources with clang-format 14
	@scripts/bootstrap.sh --lint
	@scripts/check_format.sh --fix

lint:  ## check layout, arrows between rooms, and that every header compiles alone
	@scripts/bootstrap.sh --lint
	@$(MAKE) --no-print-directory configure
	@scripts/check_format.sh
	@scripts/check_includes.sh
	@scripts/check_paths.sh
	@cmake --build $(BUILD) --target all_verify_interface_header_sets

clean:  ## remove what was built; .deps (the fetched libraries) stays
	@rm -rf build

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

bootstrap:
	@scripts/bootstrap.sh

# Ninja runs CMake again by itself when a CMake file changes. What it cannot see: a changed preset, and parts of CUDA that have come
# since a configuration missed them beside an nvcc.
.PHONY: configure
configure: bootstrap
	@if [ CMakePresets.json -nt $(BUILD)/build.ninja ] || [ .deps/site/stamp -nt $(BUILD)/build.ninja ] || \
	    [ .deps/site/stamp-gpu -nt $(BUILD)/build.ninja ] || \
	    { grep -qs '^LMMS_NO_CUDA:INTERNAL=there is no' $(BUILD)/CMakeCache.txt && \
	      { command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }; }; then \
	  cmake --preset $(PRESET); fi
