#!/usr/bin/env bash
# Runs test binaries, as many at once as there are cores: rust-tests.sh BUILD.json FOLDER [NAME]. BUILD.json is what Cargo has said of
# the build. The output of each goes into FOLDER, as NAME.log or NAME.failed. With NAME, only tests whose names contain it. With
# --of-foundationdb before these, those that need FoundationDB, one at a time: they load the machine, and some measure.
#
# (`cargo test` runs one binary after the other, and most of them wait for something most of the time.)
set -uo pipefail
of_foundationdb=
[ "${1:-}" != --of-foundationdb ] || { of_foundationdb=yes; shift; }
build=$1 folder=$2 only=${3:-}
mkdir -p "$folder"

# Those that take longest begin first, so that none of them is left alone in the end.
LONGEST=(suda_server sdk_network push sim abuse links)
# Those that need FoundationDB: whole binaries, and a module of the binary `push`.
OF_FOUNDATIONDB='store_foundationdb|cluster|cluster_load'
OF_FOUNDATIONDB_MODULE=several::

# run MANIFEST BINARY [ARGUMENT...]
run() {
  local manifest=$1 binary=$2 name begun=$SECONDS outcome=0
  shift 2
  name=$(basename "$binary" | sed -E 's/-[0-9a-f]+$//')
  [ ! -e "$folder/$name.log" ] && [ ! -e "$folder/$name.failed" ] || name=$(basename "$binary")
  : >"$folder/$name.log"
  cd "$(dirname "$manifest")" || return
  CARGO_MANIFEST_DIR=$PWD "$binary" "$@" >"$folder/$name.log" 2>&1 </dev/null || outcome=$?
  printf '%-20s %-6s %4d s  %s\n' "$name" "$([ $outcome = 0 ] && echo ok || echo FAILED)" $((SECONDS - begun)) \
    "$(sed -nE 's/^test result: [A-Za-z]+\. ([0-9]+ passed; [0-9]+ failed).*/\1/p' "$folder/$name.log" | tail -n 1)"
  [ $outcome = 0 ] || mv "$folder/$name.log" "$folder/$name.failed"
  return $outcome
}

# Manifest and binary of each target that was built as a test.
built() {
  grep -vE '"kind":\["bench"\]' "$build" | sed -nE '/"profile":\{[^}]*"test":true/s/.*"manifest_path":"([^"]+)".*"executable":"([^"]+)".*/\1 \2/p'
}

in_order() {
  awk -v first="${LONGEST[*]}" '
    BEGIN { count = split(first, names, " ") }
    { rank = count + 1; for (i = 1; i <= count; i++) if ($2 ~ "/" names[i] "-[0-9a-f]+$") rank = i; print rank, $0 }' |
    sort -s -n -k1,1 | cut -d' ' -f2-
}

failed=0
count=0
if [ -n "$of_foundationdb" ]; then
  while read -r manifest binary; do
    (run "$manifest" "$binary" --nocapture --test-threads 1) || failed=1
    count=$((count + 1))
  done < <(built | grep -E "/($OF_FOUNDATIONDB)-[0-9a-f]+\$")
  while read -r manifest binary; do
    (run "$manifest" "$binary" "$OF_FOUNDATIONDB_MODULE" --nocapture) || failed=1
  done < <(built | grep -E '/push-[0-9a-f]+$')
else
  running=0
  while read -r manifest binary; do
    if [ "$running" -ge "$(nproc)" ]; then
      wait -n || failed=1
      running=$((running - 1))
    fi
    run "$manifest" "$binary" $only --skip "$OF_FOUNDATIONDB_MODULE" &
    running=$((running + 1))
    count=$((count + 1))
  done < <(built | grep -vE "/($OF_FOUNDATIONDB)-[0-9a-f]+\$" | in_order)
  while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
  done
fi
# Nothing that was run is nothing that has passed.
if [ "$count" = 0 ]; then
  echo "no test binary is named in $build: the build's messages are not as this script reads them"
  failed=1
elif [ -n "$only" ] && ! grep -qsE '^test result: .* [1-9][0-9]* passed' "$folder"/*; then
  echo "no test of Rust has \"$only\" in its name"
fi
exit $failed
