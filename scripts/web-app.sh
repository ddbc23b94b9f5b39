#!/usr/bin/env bash
# Builds the chat app into wasm-client/dist, the folder that `suda serve` takes as `node.web`: the package, and the app's files
# beside it. Does nothing where nothing has changed since. Ends with 3 and says why if this machine lacks what it takes.
set -euo pipefail
cd "$(dirname "$0")/.."

lacks() { echo "$*" >&2; exit 3; }
out=wasm-client/dist/index.html
sources=(wasm-client/{src,js,web,bindgen/src,Cargo.toml,package.json} client-sdk/{src,Cargo.toml} schema/{src,Cargo.toml} Cargo.lock)
if [ -f "$out" ] && [ -z "$(find "${sources[@]}" -newer "$out" -print -quit)" ]; then exit 0; fi

command -v node >/dev/null && command -v npm >/dev/null || lacks "there is no Node.js, which puts the package together"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || lacks "Node.js is older than 20"

# With --have-package: the package was built just now.
if [ "${1:-}" != --have-package ]; then
  outcome=0
  scripts/wasm-package.sh || outcome=$?
  [ "$outcome" != 3 ] || lacks "this machine can't build for wasm32: see scripts/wasm-target.sh"
  [ "$outcome" = 0 ] || exit "$outcome"
fi
node wasm-client/web/build.js wasm-client/dist
