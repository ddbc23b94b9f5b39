#!/usr/bin/env bash
# Everything that is too long for `make test`, round after round until the time is over: soak.sh [SECONDS] (1,800 unless told). Each round
# has new seeds, which are printed. Output goes to target/soak/log as well. The first failure ends the run; its line is the command that
# plays it again.
set -uo pipefail
cd "$(dirname "$0")/.."

budget=${1:-1800}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
folder=$target/soak
mkdir -p "$folder/servers"
log=$folder/log
say() { printf '[%6d s] %s\n' "$SECONDS" "$*" | tee -a "$log"; }

seed() { echo $((RANDOM << 15 | RANDOM)); }

# play WHAT [VARIABLE=VALUE...] -- BINARY [ARGUMENT...]: runs a test binary of the build, or a script, with these variables.
play() {
  local what=$1 begun=$SECONDS variables=() folder_of=$PWD binary manifest
  shift
  while [ "$1" != -- ]; do variables+=("$1"); shift; done
  shift
  [ "$SECONDS" -lt "$budget" ] || return 0
  if [ -x "$1" ]; then
    binary=$1
  else
    read -r manifest binary <<<"$(sed -nE 's/.*"manifest_path":"([^"]+)".*"executable":"([^"]+)".*/\1 \2/p' "$folder/build.json" | grep -E "/deps/$1-[0-9a-f]+$")"
    [ -n "$binary" ] || { say "there is no test binary \"$1\""; exit 1; }
    folder_of=$(dirname "$manifest")
  fi
  say "$what: ${variables[*]}"
  shift
  if ! (cd "$folder_of" && CARGO_MANIFEST_DIR=$folder_of exec env "${variables[@]}" "$binary" "$@") >"$folder/output" 2>&1 </dev/null; then
    cat "$folder/output" >>"$log"
    tail -n 60 "$folder/output"
    say "FAILED after $((SECONDS - begun)) s: (cd $folder_of && ${variables[*]} $binary $*)"
    exit 1
  fi
  # What the tests count, and which seeds they have chosen themselves.
  grep -E 'SEED=|seeds|rounds|kills|steps|exec/s|^test result' "$folder/output" | sed -E 's/^/           /; s/ 0 ignored.*//' | tail -n 5 | tee -a "$log"
}

say "soak of $(git rev-parse --short HEAD) for $budget s"
scripts/packages.sh && library=$(scripts/find-foundationdb.sh || scripts/foundationdb-stand-in.sh) || exit 1
# What is built links with it.
eval "$library"
scripts/linted-cargo.sh build --bins --tests --benches --examples --message-format json-render-diagnostics >"$folder/build.json" || exit 1
export SUDA_BIN=$target/debug/suda SUDA_CHAT_BIN=$target/debug/suda-chat SUDA_EXAMPLE_BIN=$target/debug/examples/twenty_lines
export SUDA_TEST_LOGS=$folder/servers

can_fuzz=
command -v cargo-fuzz >/dev/null && can_fuzz=yes || say "without coverage-guided fuzzing: cargo-fuzz is not installed (cargo install cargo-fuzz)"
[ -n "${SUDA_FDB_SERVER:-}" ] || say "without several nodes: no fdbserver and libfdb_c found, docs/operations.md says how to point to them"

round=0
while [ "$SECONDS" -lt "$budget" ]; do
  round=$((round + 1))
  say "round $round"
  play "clients, simulated" SUDA_SIM_FROM="$(seed)" SUDA_SIM_STEPS=3000000 -- sim --nocapture
  play "the store, killed" SUDA_CRASH_SEED="$(seed)" SUDA_CRASH_ROUNDS=40 -- store_crash --nocapture
  play "the store, damaged" SUDA_FLIPS_PER_FILE=40 -- store_damage --nocapture
  play "the node, killed" SUDA_CRASH_ROUNDS=20 -- crash --nocapture
  play "nodes in one process" SUDA_CLUSTER_FROM="$(seed)" SUDA_CLUSTER_SEEDS=150 -- suda_server --nocapture cluster::tests::nothing
  play "a hot channel" SUDA_HOT_FROM="$(seed)" SUDA_HOT_SEEDS=60 -- suda_server --nocapture channel::tests::hot::nothing
  play "models of the stores" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=4000 -- store_memory
  play "models of the embedded store" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=1000 -- store_embedded
  play "models of the chat" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=2000 -- suda_server chat::
  play "models of the channels" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=1000 -- suda_server channel::tests::property
  play "the wire" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=50000 -- round_trip
  play "the wire, mutated" PROPTEST_RNG_SEED="$(seed)" PROPTEST_CASES=50000 -- fuzz_smoke
  play "slow readers" SUDA_SLOW_ENTRIES=60000 -- slow_reader --nocapture
  play "many members" SUDA_SCALE_MEMBERS=20000 -- scale --nocapture
  play "notifiers, killed" SUDA_PUSH_KILLS=10 -- push --skip several:: --nocapture
  [ -z "$can_fuzz" ] || play "fuzz targets" -- scripts/fuzz.sh 60
  if [ -n "${SUDA_FDB_SERVER:-}" ]; then
    play "several nodes" SUDA_CHAOS_SEED="$(seed)" SUDA_CHAOS_SECONDS=240 -- cluster_load --nocapture chaos
    play "notifiers of several nodes" SUDA_PUSH_KILLS=6 -- push --nocapture several::
  fi
done
say "over after $round rounds; nothing failed"
