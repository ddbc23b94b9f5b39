# `make help` lists what there is. Each target is one script or one cargo command; nothing is hidden here.

FUZZ_SECONDS ?= 30
ARGS ?=

.PHONY: help run test lint bench load fuzz bless

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build the server and start it with data in ./data (ARGS="--data DIR ..." is passed on)
	@scripts/run.sh $(ARGS)

test: ## everything that must hold before a change lands: lints, documentation, wasm, all tests
	@scripts/test.sh

lint: ## formatting and clippy, FoundationDB's engine included
	@scripts/lint.sh

bench: ## the benchmarks; writes docs/performance.md
	cargo build -q --release -p suda-server --bin suda
	cargo bench -p suda-benches $(ARGS)
	cargo run -q --release -p suda-benches --bin suda-performance

load: ## suda-load on a node of its own (ARGS="fan-out --devices 500 --rate 40"; ARGS=--help lists what there is)
	cargo build -q --release -p suda-server --bin suda
	cargo run -q --release -p suda-benches --bin suda-load -- $(or $(ARGS),fan-out) $(if $(findstring --help,$(ARGS)),,--start)

fuzz: ## each fuzz target for FUZZ_SECONDS (30 unless told)
	@scripts/fuzz.sh $(FUZZ_SECONDS)

bless: ## write schema/golden anew after a meant change to the wire
	SUDA_BLESS=1 cargo test -p suda-schema --test golden
