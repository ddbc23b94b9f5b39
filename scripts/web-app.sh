#!/usr/bin/env bash
# Builds the chat app into wasm-client/dist, the folder that `suda serve` takes as `node.web`: the package, and the app's files
# beside it. Does nothing where nothing has changed since. Ends with 3 and says why if this machine lacks what it takes.
set -euo pipefail
cd "$(dirname "$0")/.."

lacks() { echo "$*" >&2; exit 3; }
out=wasm-client/dist/index.html
sources=(wasm-client/{src,js,web,bindgen/src,Cargo.toml,package.json} client-sdk/{src,Cargo.toml} schema/{src,Cargo.toml} Cargo.lock)
if [ -f "$out" ] && [ -z "$(find "${sources[@]}" -newer "$out" -print -quit)" ]; then exit 0; fi

command -v node >/dev/null && command -v npm >/dev/null || lacks "there is no Node.js to build it with (apt-get install nodejs npm)"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || lacks "Node.js is older than 20: install a newer one"

# With --have-package: the package was built just now.
if [ "${1:-}" != --have-package ]; then
  outcome=0
  scripts/wasm-package.sh || outcome=$?
  [ "$outcome" != 3 ] || lacks "there is no target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown)"
  [ "$outcome" = 0 ] || exit "$outcome"
fi
node wasm-client/web/build.js wasm-client/dist
