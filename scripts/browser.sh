#!/usr/bin/env bash
# The browser's side. With --build: builds the package and the chat app, weighs the package and checks its types; installs the
# browsers where apt can. With --test [NAME]: drives the package and the app in Chromium and Firefox against a real node, and has Vite
# and webpack build empty projects with the package. Without either: both. Ends with 3 if this machine lacks what it takes; the last line
# says what.
set -euo pipefail
cd "$(dirname "$0")/.."

lacks() { echo "$*" >&2; exit 3; }

build() {
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
  local outcome=0
  scripts/wasm-package.sh || outcome=$?
  [ "$outcome" != 3 ] || lacks "this machine can't build for wasm32: see scripts/wasm-target.sh"
  [ "$outcome" = 0 ] || exit "$outcome"
  scripts/web-app.sh --have-package
  node wasm-client/tools/size.js
  wasm-client/tools/node_modules/.bin/tsc -p tests/browser/tsconfig.json
}

run_tests() {
  # How Firefox is spoken to, and Chromium's service workers. Node.js has it from 22 on; from 20.10 on, if asked.
  local flags=(--test --test-concurrency=1)
  node -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' || flags+=(--experimental-websocket)
  [ -z "${1:-}" ] || flags+=("--test-name-pattern=$1")
  node "${flags[@]}" tests/browser/*.test.js
}

case ${1:-} in
  --build) build ;;
  --test) run_tests "${2:-}" ;;
  *)
    build
    cargo build -p suda-server --bin suda
    cargo build -p suda-tests --bin suda-push-stand-in
    run_tests
    ;;
esac
