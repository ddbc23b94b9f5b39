#!/usr/bin/env bash
# Builds what is missing and starts a node with the chat app at `/`. Arguments go to `suda serve`. The app is compiled beside the server, and
# served from when it is there. SUDA_PROFILE=release compiles as for production, which takes several times as long.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${SUDA_PROFILE:-try}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
logs=$target/run-logs
mkdir -p "$logs"
say() { printf '[%3d s] %s\n' "$SECONDS" "$*" >&2; }

# One line for each step that the scripts begin, and one for how it ended.
build_app() {
  local outcome=0
  nice -n 10 scripts/web-app.sh 2>&1 | tee "$logs/app" | while read -r line; do
    [[ $line != "step: "* ]] || say "app: ${line#step: }"
  done || outcome=$?
  case $outcome in
    0) say "app: ready. Open the http address of the node in a browser. A second tab is another person with ?profile=2 behind it." ;;
    3) say "app: skipped: $(tail -n 1 "$logs/app"). The node serves clients and curl without it: see README.md." ;;
    *) say "app: could not be built, see $logs/app. The node serves clients and curl without it: see README.md." ;;
  esac
}

# What the compiler has done, now and then.
report() {
  while sleep 30; do say "server: $(grep -c '^ *Compiling' "$logs/server") crates so far"; done
}

scripts/packages.sh --to-run
say "server: compiling it with profile \"$profile\". The first time takes some minutes."
build_app &
: >"$logs/server"
report &
reporting=$!
if ! cargo build --profile "$profile" -p suda-server --bin suda 2>"$logs/server"; then
  cat "$logs/server" >&2
  # shellcheck disable=SC2046 # words are wanted
  kill $(jobs -p)
  exit 1
fi
kill "$reporting"
say "server: ready"
folder=$profile
[ "$profile" != dev ] || folder=debug
exec "$target/$folder/suda" serve --set "node.web=$PWD/wasm-client/dist" "$@"
