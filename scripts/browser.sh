#!/usr/bin/env bash
# The browser's side: builds the package and the chat app, weighs the package, checks its types, has Vite and webpack
# build an empty project with it, and drives it and the app in Chromium and in Firefox against a real node. Installs the
# browsers where apt can. Ends with 3 and says why if this machine lacks what it takes, with 4 if all has passed but there is
# no Firefox.
set -euo pipefail
cd "$(dirname "$0")/.."

lacks() { echo "$*" >&2; exit 3; }
command -v node >/dev/null && command -v npm >/dev/null || lacks "there is no Node.js"
node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 10) ? 0 : 1)' ||
  lacks "Node.js is older than 20.10"

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  echo "installing Chromium" >&2
  { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >&2 ||
    lacks "there is no chromium with chromedriver, and apt can't bring them"
fi

if ! command -v firefox-esr >/dev/null && ! command -v firefox >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing Firefox" >&2
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends firefox-esr; } >&2 || true
fi
# How Firefox is spoken to, and Chromium's service workers. Node.js has it from 22 on; from 20.10 on, if asked.
node_flags=()
node -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' || node_flags=(--experimental-websocket)

outcome=0
scripts/wasm-package.sh || outcome=$?
[ "$outcome" != 3 ] || lacks "this machine can't build for wasm32: see scripts/wasm-target.sh"
[ "$outcome" = 0 ] || exit "$outcome"

scripts/web-app.sh --have-package

echo "-- size"
node wasm-client/tools/size.js
echo "-- types"
wasm-client/tools/node_modules/.bin/tsc -p tests/browser/tsconfig.json
echo "-- the module's unit tests, the package in empty Vite and webpack projects, and in Chromium; the chat app, in Firefox too"
# With --have-binaries: they were built just now, with the tests.
if [ "${1:-}" != --have-binaries ]; then
  cargo build -p suda-server --bin suda
  cargo build -p suda-tests --bin suda-push-stand-in
fi
node "${node_flags[@]}" --test --test-concurrency=1 tests/browser/*.test.js
lacking=$(node "${node_flags[@]}" -e 'import("./tests/browser/lib/firefox.js").then(({ lacking }) => console.log(lacking || ""))')
if [ -n "$lacking" ]; then
  echo "NOT RUN: the app in Firefox: $lacking" >&2
  exit 4
fi
