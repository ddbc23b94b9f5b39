#!/usr/bin/env bash
# Pictures of the chat app's main screens, into the folder $1 (target/screenshots unless told).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/web-app.sh
cargo build -q -p suda-server --bin suda
exec node tests/browser/lib/screenshots.js "${1:-${CARGO_TARGET_DIR:-target}/screenshots}"
