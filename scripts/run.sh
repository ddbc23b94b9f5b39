#!/usr/bin/env bash
# Builds what is missing and starts a node with the chat app at `/`. Arguments go to `suda serve`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release -p suda-server --bin suda
web=()
if scripts/web-app.sh; then
  web=(--set "node.web=$PWD/wasm-client/dist")
  echo "The chat app is at the http address that the node says below. A second tab is another person with ?profile=2 behind it." >&2
else
  echo "skipped: the browser app, for the reason above. The node speaks to clients and to curl: see README.md." >&2
fi
exec "${CARGO_TARGET_DIR:-target}/release/suda" serve "${web[@]}" "$@"
