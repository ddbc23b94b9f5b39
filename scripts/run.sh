#!/usr/bin/env bash
# Builds what is missing and starts a node. Arguments go to `suda serve`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release -p suda-server --bin suda
echo "skipped: the browser app, which does not exist yet. The node speaks to clients and to curl: see README.md." >&2
exec "${CARGO_TARGET_DIR:-target}/release/suda" serve "$@"
