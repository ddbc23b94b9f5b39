#!/usr/bin/env bash
# Everything that must hold before a change lands. The last lines list each step (passed, failed, or skipped and why) with its
# duration, and for each failed test its name, its seed and the log of its server.
#
#   STEP="tests browser"   only these steps, and what they stand on
#   ONLY=name              only the tests whose names contain this, of the steps `tests` and `browser`
#
# Tests begin as soon as they are built. The browser's package, and at a lower priority the documentation, are compiled meanwhile, because
# most tests wait most of the time. docs/decisions/0020-a-quick-suite.md has the measurements.
set -uo pipefail
cd "$(dirname "$0")/.."

STEPS=(packages format wasm32 build tests package browser documentation foundationdb)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
logs=$target/test-logs
only=${ONLY:-}
wanted=" ${STEP:-${only:+tests browser}} "
[ "$wanted" != "  " ] || wanted=" ${STEPS[*]} "
case $wanted in *" tests "* | *" browser "*) wanted+="build " ;; esac
case $wanted in *" browser "*) wanted+="wasm32 package " ;; esac
wanted+="packages "
for step in $wanted; do
  [[ " ${STEPS[*]} " == *" $step "* ]] || { echo "There is no step \"$step\". Steps: ${STEPS[*]}" >&2; exit 2; }
done
rm -rf "$logs" && mkdir -p "$logs/servers"
# Where tests leave the logs of their servers.
export SUDA_TEST_LOGS=$logs/servers
# Compiles from nothing are quicker without: nobody builds a second time there, or debugs.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none

# Runs a step, if it is wanted: step NAME COMMAND... Its output goes into a file. Exit code 3 says that it was skipped, and its last
# line why.
step() {
  local name=$1 begun=$SECONDS outcome=0
  shift
  [[ $wanted == *" $name "* ]] || return 0
  "$@" >"$logs/$name.log" 2>&1 </dev/null || outcome=$?
  echo "$outcome $((SECONDS - begun))" >"$logs/$name.outcome"
  echo "[$SECONDS s] $(describe "$name")"
  return "$outcome"
}

# One line about a step that has ended.
describe() {
  local outcome seconds
  read -r outcome seconds <"$logs/$1.outcome"
  case $outcome in
    0) printf '%-14s passed   %4d s' "$1" "$seconds" ;;
    3) printf '%-14s skipped  %4d s  %s' "$1" "$seconds" "$(tail -n 1 "$logs/$1.log")" ;;
    *) printf '%-14s FAILED   %4d s  %s' "$1" "$seconds" "$logs/$1.log" ;;
  esac
}

format() {
  scripts/lint.sh --text
}

build() {
  scripts/linted-cargo.sh build --bins --tests --benches --examples --message-format json-render-diagnostics >"$logs/build.json"
}

wasm32() {
  local flags
  flags=$(scripts/wasm-target.sh) || { echo "neither rustup nor apt could bring the target: see scripts/wasm-target.sh"; return 3; }
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags cargo test --no-run --target wasm32-unknown-unknown -p suda-wasm --test engine \
    --message-format json-render-diagnostics >"$logs/wasm32.json"
}

# The binaries of the build, for the tests that start them.
export SUDA_BIN=$target/debug/suda SUDA_CHAT_BIN=$target/debug/suda-chat SUDA_EXAMPLE_BIN=$target/debug/examples/twenty_lines

tests() {
  scripts/rust-tests.sh "$logs/build.json" "$logs/tests" "$only"
}

package() {
  scripts/browser.sh --build
}

browser() {
  local outcome=$(cut -d' ' -f1 "$logs/package.outcome")
  case $outcome in
    0) SUDA_WASM_TESTS=$(sed -nE 's/.*"executable":"([^"]+)".*/\1/p' "$logs/wasm32.json") scripts/browser.sh --test "$only" ;;
    3) tail -n 1 "$logs/package.log"; return 3 ;;
    *) echo "the package was not built"; return 1 ;;
  esac
}

documentation() {
  SUDA_DOC=$target/doc RUSTDOC=$PWD/scripts/rustdoc.sh nice -n 10 scripts/linted-cargo.sh test --doc
}

foundationdb() {
  if [ -z "${SUDA_FDB_SERVER:-}" ]; then
    echo "no fdbserver and libfdb_c found: docs/operations.md says how to point to them"
    return 3
  fi
  scripts/rust-tests.sh --of-foundationdb "$logs/build.json" "$logs/foundationdb"
}

# What failed in a step: the tests' names, seeds and servers' logs, and its last words.
explain() {
  local log=$logs/$1.log
  echo "== $1"
  [ ! -d "$logs/$1" ] || log=$(ls "$logs/$1"/*.failed 2>/dev/null)
  [ -n "$log" ] || log=$logs/$1.log
  # shellcheck disable=SC2086 # there may be several
  sed -nE 's/^(test .* \.\.\. FAILED)$/  \1/p; s/^(not ok .*)/  \1/p; s/.*((SUDA_[A-Z_]*SEED=|seed[ =:]*)[0-9]+).*/  \1/p; s/^(the node.s log: .*)/  \1/p' $log | sort -u
  for log in $log; do
    echo "-- $log"
    if grep -q '^failures:$' "$log"; then sed -n '/^failures:$/,$p' "$log" | head -n 150; else tail -n 60 "$log"; fi
  done
}

# What is built links with FoundationDB's client library, or with its stand-in.
link() {
  local library
  library=$(scripts/find-foundationdb.sh || scripts/foundationdb-stand-in.sh) && eval "$library"
}

run_all() {
  step packages scripts/packages.sh && link || return
  step format format
  step wasm32 wasm32
  step build build || return
  {
    step package package
    step browser browser
  } &
  local browsing=$!
  step documentation documentation &
  local documenting=$!
  step tests tests
  wait "$browsing" "$documenting"
  step foundationdb foundationdb
}
run_all

echo
failed=()
for name in "${STEPS[@]}"; do
  [ -e "$logs/$name.outcome" ] || continue
  case $(cut -d' ' -f1 "$logs/$name.outcome") in 0 | 3) ;; *) failed+=("$name") ;; esac
done
for name in "${failed[@]}"; do explain "$name"; done
echo
for name in "${STEPS[@]}"; do
  if [ -e "$logs/$name.outcome" ]; then describe "$name"; echo; elif [[ $wanted == *" $name "* ]]; then printf '%-14s not run\n' "$name"; failed+=("$name"); fi
done
# What a step has left out, and tests that say themselves why they can't run here.
sed -nE 's/^without (.*)/skipped: \1/p' "$logs"/{format,build}.log 2>/dev/null
sed -nE 's/^ok [0-9]+ - (.*) # SKIP (.*)/skipped: \1: \2/p' "$logs/browser.log" 2>/dev/null
# Of all runners: Rust's, and Node.js'.
cat "$logs"/{tests,foundationdb}/*.{log,failed} "$logs"/{browser,documentation}.log 2>/dev/null | awk -v seconds=$SECONDS '
  /^test result:/ { passed += $4; failed += $6 }
  /^# pass / { passed += $3 }
  /^# fail / { failed += $3 }
  END { printf "all together            %4d s\n\n%d passed, %d failed\n", seconds, passed, failed }'
[ ${#failed[@]} -eq 0 ]
