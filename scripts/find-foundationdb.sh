#!/usr/bin/env bash
# Finds FoundationDB's server and client library, and prints the environment that tests need as shell assignments.
# SUDA_FDB_SERVER=/path/to/fdbserver and SUDA_FDB_LIB=/folder/with/libfdb_c.so point to them; else PATH and the usual
# library folders are looked at.
set -euo pipefail

server=${SUDA_FDB_SERVER:-$(command -v fdbserver || ls /usr/sbin/fdbserver 2>/dev/null || true)}
[ -n "$server" ] && [ -x "$server" ] || exit 1

lib=${SUDA_FDB_LIB:-}
if [ -z "$lib" ]; then
  lib=$(ldconfig -p 2>/dev/null | awk '/libfdb_c\.so/ { print $NF; exit }')
  lib=${lib%/*}
fi
for folder in /usr/lib /usr/local/lib /usr/lib64; do
  [ -n "$lib" ] || { [ -e "$folder/libfdb_c.so" ] && lib=$folder; }
done
[ -n "$lib" ] && [ -e "$lib/libfdb_c.so" ] || exit 1

printf 'export SUDA_FDB_SERVER=%q SUDA_FDB_LIB=%q LIBRARY_PATH=%q LD_LIBRARY_PATH=%q\n' \
  "$server" "$lib" "$lib${LIBRARY_PATH:+:$LIBRARY_PATH}" "$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
