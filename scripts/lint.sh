#!/usr/bin/env bash
# Formatting and lints. A warning is an error here.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh
cargo fmt --all --check
cargo fmt --manifest-path schema/fuzz/Cargo.toml --check
cargo clippy --workspace --all-targets -- -D warnings
# FoundationDB's engine, against the headers that its crate brings along: nothing of FoundationDB need be installed.
# (For the whole workspace, so that what it stands on has the features that were checked already.)
cargo clippy --workspace --all-targets --features suda-server/foundationdb-headers,suda-tests/foundationdb -- -D warnings
