# SPDX-License-Identifier: Apache-2.0
# A front door to CMake and Ninja: "make help" lists what there is.
.DEFAULT_GOAL := build
.PHONY: build run test check fuzz bench format clean help
PORT ?= 8080
HOST ?= 127.0.0.1
export PORT HOST

build: ## build/galley, the release binary (the default)
	@tools/setup run
	@tools/build release galley

run: build ## build it, serve examples/models, and ask every example a question
	@exec tools/run

test: ## everything a contributor needs: unit tests, wire tests, corpus replay
	@tools/setup test
	@tools/build release
	@ctest --preset release

check: ## the long one: sanitizers, both compilers, style, static analysis
	@tools/setup check
	@tools/check

fuzz: ## every fuzz target, FUZZ_SECONDS each (default 300)
	@tools/setup fuzz
	@tools/fuzz

bench: ## measure, and compare with other servers
	@tools/setup bench
	@tools/build release
	@tools/bench

format: ## clang-format over every source
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built, keep what was downloaded
	@find build -mindepth 1 -maxdepth 1 ! -name deps ! -name '*venv*' -exec rm -rf {} + 2>/dev/null || true

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'
