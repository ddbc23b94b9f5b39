#!/usr/bin/env bash
# The browser's side: builds the package and the chat app, weighs the package, checks its types, builds it into an empty Vite
# project, and drives it and the app in Chromium against a real node. Installs Chromium where apt can. Ends with 3 and says why if this
# machine lacks what it takes.
set -euo pipefail
cd "$(dirname "$0")/.."

lacks() { echo "$*" >&2; exit 3; }
command -v node >/dev/null && command -v npm >/dev/null || lacks "there is no Node.js"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || lacks "Node.js is older than 20"

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  echo "installing Chromium" >&2
  { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >&2 ||
    lacks "there is no chromium with chromedriver, and apt can't bring them"
fi

outcome=0
scripts/wasm-package.sh || outcome=$?
[ "$outcome" != 3 ] || lacks "this machine can't build for wasm32: see scripts/wasm-target.sh"
[ "$outcome" = 0 ] || exit "$outcome"

scripts/web-app.sh --have-package

echo "-- size"
node wasm-client/tools/size.js
echo "-- types"
wasm-client/tools/node_modules/.bin/tsc -p tests/browser/tsconfig.json
echo "-- the module's unit tests, the package in an empty Vite project, and in Chromium; the chat app"
cargo build -p suda-server --bin suda
node --test --test-concurrency=1 tests/browser/*.test.js
