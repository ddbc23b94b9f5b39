#!/usr/bin/env bash
# Runs each fuzz target of schema/fuzz for $1 seconds, from the specimens as seeds. Needs a nightly compiler and cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}

if ! cargo +nightly --version >/dev/null 2>&1 || ! command -v cargo-fuzz >/dev/null; then
  cat >&2 <<'TEXT'
Fuzzing needs a nightly compiler and cargo-fuzz:

  rustup toolchain install nightly
  cargo install cargo-fuzz

Without them, `cargo test -p suda-schema --test fuzz_smoke` runs the same targets on mutated specimens.
TEXT
  exit 1
fi

cargo run -q -p suda-schema --example fuzz_seeds -- schema/fuzz/corpus
cargo +nightly fuzz build --fuzz-dir schema/fuzz
cargo +nightly fuzz list --fuzz-dir schema/fuzz | while read -r target; do
  echo "== $target, $seconds s"
  cargo +nightly fuzz run --fuzz-dir schema/fuzz "$target" -- -max_total_time="$seconds" -max_len=65536 -print_final_stats=1 </dev/null
done
