#!/usr/bin/env bash
# What is worth knowing after each edit: formatting, lints, and in short the unit tests of the crates that differ from BASE (the branch `main` of the
# origin, or else the last commit, unless BASE names another). `make test` is what decides.
set -euo pipefail
cd "$(dirname "$0")/.."

base=${BASE:-$(git rev-parse --verify --quiet origin/main || echo HEAD)}
logs=$(realpath -m "${CARGO_TARGET_DIR:-target}")/check-logs
rm -rf "$logs" && mkdir -p "$logs"

changed=$({ git diff --name-only "$base"; git ls-files --others --exclude-standard; } | sort -u)
crates=$(for crate in schema server client-sdk client-sdk/chat wasm-client tests benches; do
  case $'\n'$changed in *$'\n'Cargo.*) echo "$crate"; continue ;; esac
  grep -qE "^$crate/.*\.(rs|toml)$" <<<"$changed" && echo "$crate"
done || true)

scripts/lint.sh --text
[ -n "$crates" ] || { echo "No crate differs from $base: nothing to compile."; exit 0; }
targets=(--lib --bins)
! grep -qE '/(tests|benches|examples)/.*\.rs$|^tests/tests/' <<<"$changed" || targets+=(--tests --benches --examples)
# As `make test` does it: what one has compiled, the other need not.
scripts/linted-cargo.sh test --no-run "${targets[@]}" --message-format json-render-diagnostics |
  grep -E '"kind":\["(lib|bin)"' | grep -E "\"manifest_path\":\"$PWD/($(tr '\n' '|' <<<"$crates" | sed 's/|$//'))/Cargo.toml\"" >"$logs/build.json"
library=$(scripts/find-foundationdb.sh || scripts/foundationdb-stand-in.sh)
eval "$library"
# One seed each, and fewer cases: `make test` has more, `make soak` many.
export SUDA_CLUSTER_SEEDS=1 SUDA_HOT_SEEDS=1 PROPTEST_CASES=50
if ! scripts/rust-tests.sh "$logs/build.json" "$logs/tests"; then
  cat "$logs"/tests/*.failed
  exit 1
fi
