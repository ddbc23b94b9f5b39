#!/usr/bin/env bash
# Formatting and lints. A warning is an error here.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh
cargo fmt --all --check
cargo fmt --manifest-path schema/fuzz/Cargo.toml --check
# With FoundationDB's engine, against the headers that its crate brings along: nothing of FoundationDB need be installed. The build
# of the tests compiles what is there without it.
cargo clippy --workspace --all-targets --features suda-server/foundationdb-headers,suda-tests/foundationdb -- -D warnings
