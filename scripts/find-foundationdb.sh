#!/usr/bin/env bash
# Finds FoundationDB's server and client library, and prints the environment that tests need as shell assignments.
# SUDA_FDB_SERVER=/path/to/fdbserver and SUDA_FDB_LIB=/folder/with/libfdb_c.so point to them; else PATH and the usual
# folders are looked at. Fails if either is not there.
set -uo pipefail

first_that_is_there() {
  local path
  for path in "$@"; do
    if [ -n "$path" ] && [ -e "$path" ]; then
      echo "$path"
      return
    fi
  done
  return 1
}

server=${SUDA_FDB_SERVER:-$(first_that_is_there "$(command -v fdbserver)" /usr/sbin/fdbserver /usr/local/sbin/fdbserver)}
linked=$(ldconfig -p 2>/dev/null | awk '/libfdb_c\.so/ { print $NF }' | tail -n 1)
library=$(first_that_is_there "${SUDA_FDB_LIB:-}/libfdb_c.so" "$linked" /usr/lib/libfdb_c.so /usr/local/lib/libfdb_c.so)
if [ ! -x "$server" ] || [ -z "$library" ]; then
  exit 1
fi
folder=$(dirname "$library")

printf 'export SUDA_FDB_SERVER=%q SUDA_FDB_LIB=%q LIBRARY_PATH=%q LD_LIBRARY_PATH=%q\n' \
  "$server" "$folder" "$folder${LIBRARY_PATH:+:$LIBRARY_PATH}" "$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
