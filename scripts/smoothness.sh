#!/usr/bin/env bash
# Measures how smoothly the chat app scrolls with 10,000 messages loaded.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/web-app.sh
cargo build -q -p suda-server --bin suda
exec node tests/browser/lib/smoothness.js
