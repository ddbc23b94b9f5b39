#!/usr/bin/env bash
# In place of rustdoc for `cargo test --doc`: runs the examples of a crate's documentation, then makes the documentation itself from the
# same arguments, where a warning is an error. (`cargo doc` would check every dependency once more.) The pages go into $SUDA_DOC.
set -euo pipefail

rustdoc=$(rustup which rustdoc 2>/dev/null || command -v rustdoc)
"$rustdoc" "$@"

arguments=() is_test=
while [ $# -gt 0 ]; do
  case $1 in
    --test) is_test=yes ;;
    --test-run-directory | --error-format) shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
[ -z "$is_test" ] || "$rustdoc" "${arguments[@]}" -D warnings --out-dir "$SUDA_DOC"
