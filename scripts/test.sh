#!/usr/bin/env bash
# Everything that must hold before a change lands. What could not be run is said in the last lines.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
step() { printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"; }

step "formatting and lints"
scripts/lint.sh

step "documentation"
# With the features of the lints, so that dependencies are checked once for both.
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace --features suda-server/foundationdb-headers,suda-tests/foundationdb

step "wasm32"
outcome=0
scripts/wasm.sh || outcome=$?
case $outcome in
  0) ;;
  3) skipped+=("the wasm32 builds: neither rustup nor apt could bring the target. See scripts/wasm-target.sh.") ;;
  *) exit "$outcome" ;;
esac

step "tests"
# The end-to-end tests start the binaries. All of it in one build: a package that is built by itself has other features of
# what it stands on, and most of that would be built once more.
cargo build --workspace --bins --tests --examples
built=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
SUDA_BIN=$built/suda SUDA_CHAT_BIN=$built/suda-chat SUDA_EXAMPLE_BIN=$built/examples/twenty_lines cargo test --workspace

step "browser"
outcome=0
scripts/browser.sh --have-binaries || outcome=$?
case $outcome in
  0) ;;
  3) skipped+=("the browser package and its tests: what they lack is said above. See scripts/browser.sh.") ;;
  4) skipped+=("the app in Firefox: what it lacks is said above. See scripts/browser.sh.") ;;
  *) exit "$outcome" ;;
esac

step "FoundationDB"
if fdb=$(scripts/find-foundationdb.sh); then
  eval "$fdb"
  cargo test -p suda-server --features foundationdb-headers --test store_foundationdb
  # Several nodes, as processes with that engine.
  cargo build -p suda-server --features foundationdb-headers --bin suda
  # The tests of this build have it built anew without, under its own name.
  cp "$built/suda" "$built/suda-foundationdb"
  SUDA_BIN=$built/suda-foundationdb cargo test -p suda-tests --features foundationdb --test cluster -- --nocapture
  SUDA_BIN=$built/suda-foundationdb cargo test -p suda-tests --features foundationdb --test push several -- --nocapture
  # One at a time: they load the machine, and some measure.
  SUDA_BIN=$built/suda-foundationdb cargo test -p suda-tests --features foundationdb --test cluster_load -- --nocapture --test-threads 1
else
  skipped+=("the FoundationDB tests, those of several nodes among them: no fdbserver and libfdb_c found. docs/operations.md says how to point to them.")
fi

step "done"
if [ ${#skipped[@]} -eq 0 ]; then
  echo "Nothing was skipped."
else
  printf 'NOT RUN: %s\n' "${skipped[@]}"
fi
