#!/usr/bin/env bash
# Builds a stand-in for FoundationDB's client library, and prints the environment that links with it and finds it at run time, as shell
# assignments. With it, whatever uses FoundationDB's engine is compiled, linted and linked on a machine without FoundationDB, in the same
# build as all the rest. Each of its functions aborts: where FoundationDB is installed, the same binaries are run with the real library.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -nE 's/^foundationdb = .*"fdb-([0-9])_([0-9])".*/\1\20/p' Cargo.toml)
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/foundationdb-stand-in/$version
if [ ! -e "$folder/libfdb_c.so" ]; then
  mkdir -p "$folder"
  # The headers that the crate brings along.
  host=$(rustc -vV | sed -n 's/^host: //p')
  crate=$(cargo metadata --format-version 1 --all-features --filter-platform "$host" | grep -oE '"manifest_path":"[^"]*/foundationdb-sys-[^"]*/Cargo\.toml"' | cut -d'"' -f4)
  {
    printf '#include <stdio.h>\n#include <stdlib.h>\n'
    grep -ohE '\bfdb_[a-z0-9_]+\(' "$(dirname "$crate")/include/$version"/*.h | tr -d '(' | sort -u |
      sed -E 's/.*/void &(void) { fputs("&: this is a stand-in for libfdb_c, see docs\/operations.md for the real one\\n", stderr); abort(); }/'
  } >"$folder/stand_in.c"
  cc -shared -fPIC -Wl,-soname,libfdb_c.so -o "$folder/libfdb_c.so.new" "$folder/stand_in.c"
  mv "$folder/libfdb_c.so.new" "$folder/libfdb_c.so"
fi

printf 'export LIBRARY_PATH=%q LD_LIBRARY_PATH=%q\n' "$folder${LIBRARY_PATH:+:$LIBRARY_PATH}" "$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
