# `make help` lists what there is. Each target is one script or one cargo command; nothing is hidden here.

FUZZ_SECONDS ?= 30
ARGS ?=
NAME ?= before
SOAK_SECONDS ?= 1800

.PHONY: help run cluster test check lint soak bench bench-full bench-peers bench-save bench-compare load fuzz bless

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build the server and the chat app, and start it with data in ./data (ARGS="--data DIR ..." is passed on)
	@scripts/run.sh $(ARGS)

cluster: ## FoundationDB and three nodes over it on this machine, in ./data/cluster; says how to chat across them
	@scripts/cluster.sh

test: ## everything that must hold before a change lands (STEP=browser: one step; ONLY=name: some tests)
	@STEP="$(STEP)" ONLY="$(ONLY)" scripts/test.sh

check: ## the quick part, after each edit: formatting, lints, unit tests of the crates that changed
	@scripts/check.sh

lint: ## formatting and clippy, FoundationDB's engine included; typos and cargo-deny where they are installed
	@scripts/lint.sh

soak: ## what is too long for `make test`, with new seeds each round, for SOAK_SECONDS (1,800 unless told)
	@scripts/soak.sh $(SOAK_SECONDS)

bench: ## the benchmarks in small; writes docs/performance.md, its plots, and criterion's HTML report
	cargo build -q --release -p suda-server --bin suda
	cargo bench -p suda-benches $(ARGS)
	cargo run -q --release -p suda-benches --bin suda-performance

bench-full: ## the same with logs of 1,000,000 entries, 100,000 channels, and 5,000 devices that reconnect at once
	SUDA_BENCH_FULL=1 $(MAKE) bench

bench-peers: ## suda beside NATS, Mosquitto, Redis, Socket.IO and Centrifugo, as far as they are here (ARGS=--help lists what there is)
	cargo build -q --release -p suda-server --bin suda
	cargo run -q --release -p suda-benches --bin suda-peers -- $(ARGS)
	cargo run -q --release -p suda-benches --bin suda-performance

bench-save: ## keep criterion's samples of the last run as a baseline (NAME=before unless told)
	cargo run -q --release -p suda-benches --bin suda-performance -- save $(NAME)

bench-compare: ## ratios of the newest run to a baseline, with 95 % intervals (NAME=before unless told)
	cargo run -q --release -p suda-benches --bin suda-performance -- compare $(NAME)

load: ## suda-load on a node of its own (ARGS="fan-out --devices 500 --rate 40"; ARGS=--help lists what there is)
	cargo build -q --release -p suda-server --bin suda
	cargo run -q --release -p suda-benches --bin suda-load -- $(or $(ARGS),fan-out) $(if $(findstring --help,$(ARGS)),,--start)

fuzz: ## each fuzz target for FUZZ_SECONDS (30 unless told)
	@scripts/fuzz.sh $(FUZZ_SECONDS)

bless: ## write schema/golden anew after a meant change to the wire
	SUDA_BLESS=1 cargo test -p suda-schema --test golden
