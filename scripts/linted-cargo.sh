#!/usr/bin/env bash
# Cargo, with Clippy as the compiler of the workspace's own crates: linted-cargo.sh build|test ... They are linted as they are compiled, so
# that `cargo clippy`, which checks every dependency once more, is not needed. A warning is an error. (Clippy is a compiler that optimises
# less, so nothing that is shipped or measured is compiled with it.)
set -uo pipefail
cd "$(dirname "$0")/.."

driver=$(rustup which clippy-driver 2>/dev/null || command -v clippy-driver || true)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ RUSTC_WORKSPACE_WRAPPER=$driver cargo "$@" 2>&1 >&3 | tee "$log" >&2; } 3>&1 || exit
if grep -qE '^warning: .* generated [0-9]+ warning' "$log"; then
  echo "A warning is an error here." >&2
  exit 1
fi
[ -n "$driver" ] || echo "without Clippy's lints: it is not installed (rustup component add clippy)" >&2
