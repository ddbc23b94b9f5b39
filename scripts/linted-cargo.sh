#!/usr/bin/env bash
# Cargo for the whole workspace with all its features, and with Clippy as the compiler of our own crates: linted-cargo.sh build|test|check ...
# They are linted as they are compiled, so that `cargo clippy`, which checks every dependency once more, is not needed. A warning is an error.
# (Clippy is a compiler that optimises less, so nothing that is shipped or measured is compiled with it.)
#
# Whatever is built for tests and lints is built with these features, so that nothing is compiled twice. They link with FoundationDB's
# client library, or with its stand-in.
set -uo pipefail
cd "$(dirname "$0")/.."

command=$1
shift
features=suda-server/foundationdb-headers,suda-tests/foundationdb,suda-benches/foundationdb-headers
library=$(scripts/find-foundationdb.sh || scripts/foundationdb-stand-in.sh) || exit
eval "$library"

driver=$(rustup which clippy-driver 2>/dev/null || command -v clippy-driver || true)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ RUSTC_WORKSPACE_WRAPPER=$driver cargo "$command" --workspace --features "$features" "$@" 2>&1 >&3 | tee "$log" >&2; } 3>&1 || exit
if grep -qE '^warning: .* generated [0-9]+ warning' "$log"; then
  echo "A warning is an error here." >&2
  exit 1
fi
[ -n "$driver" ] || echo "without Clippy's lints: it is not installed (rustup component add clippy)" >&2
