#!/usr/bin/env bash
# Prints the path of the tool that makes the browser module's JavaScript, and compiles it first if it is not there. It depends on nothing
# but its own sources and the compiler, so it is kept with the user's other caches and compiled once, not in each clone.
set -euo pipefail
cd "$(dirname "$0")/../wasm-client/bindgen"

made_of=$(cat Cargo.toml Cargo.lock src/* <(rustc --version) | sha256sum | cut -c 1-16)
tool=${XDG_CACHE_HOME:-$HOME/.cache}/suda/bindgen-$made_of
if [ ! -x "$tool" ]; then
  work=$(realpath -m "${CARGO_TARGET_DIR:-../../target}")/bindgen
  cargo build --locked --target-dir "$work" >&2
  mkdir -p "$(dirname "$tool")"
  # Whole or not at all, should another build do the same now.
  cp "$work/debug/suda-bindgen" "$tool.$$" && mv "$tool.$$" "$tool"
fi
echo "$tool"
