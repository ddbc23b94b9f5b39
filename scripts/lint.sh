#!/usr/bin/env bash
# Formatting, Clippy, and where they are installed typos and cargo-deny. With --text: all but Clippy. A warning is an error here.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo fmt --manifest-path schema/fuzz/Cargo.toml --check
if command -v typos >/dev/null; then typos; else echo "without typos: it is not installed (pip install typos)"; fi
if command -v cargo-deny >/dev/null; then
  # The advisories need the network; without it the rest is checked.
  cargo deny --all-features check --hide-inclusion-graph licenses bans sources
else
  echo "without cargo-deny: it is not installed (cargo install cargo-deny --locked)"
fi
[ "${1:-}" != --text ] || exit 0

scripts/packages.sh
scripts/linted-cargo.sh check --all-targets
