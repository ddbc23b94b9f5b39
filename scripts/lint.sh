#!/usr/bin/env bash
# Formatting and lints. A warning is an error here.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh
cargo fmt --all --check
cargo fmt --manifest-path schema/fuzz/Cargo.toml --check
cargo clippy --workspace --all-targets -- -D warnings
# FoundationDB's engine, against the headers that its crate brings along: nothing of FoundationDB need be installed.
cargo clippy -p suda-server --all-targets --features foundationdb-headers -- -D warnings
cargo clippy -p suda-tests --test cluster --test cluster_load --features foundationdb -- -D warnings
