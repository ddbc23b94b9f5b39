#!/usr/bin/env bash
# Builds for the browser what must build for it. Ends with 3 if there is no way to get the target on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=$(scripts/wasm-target.sh) || exit 3
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags" \
  cargo build --target wasm32-unknown-unknown --no-default-features -p suda-schema -p suda-client -p suda-wasm
