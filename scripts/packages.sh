#!/usr/bin/env bash
# Installs the Debian packages that `make test` needs, each only if what it brings is missing. With --to-run: those of `make run`.
set -euo pipefail

missing=()
have() { command -v "$1" >/dev/null; }

have cc || missing+=(build-essential)
# bindgen reads FoundationDB's headers with it. (LLVM's tools bring libclang-cpp, which is another library.)
has_libclang() {
  local name='libclang(-[0-9.]+)?\.so'
  ls /usr/lib/llvm-*/lib 2>/dev/null | grep -E "^$name" >/dev/null || ldconfig -p | grep -E "$name" >/dev/null
}
if [ "${1:-}" != --to-run ]; then
  have pkg-config || missing+=(pkg-config)
  has_libclang || missing+=(libclang-dev)
fi

[ ${#missing[@]} -eq 0 ] && exit 0

if ! have apt-get || [ "$(id -u)" != 0 ]; then
  echo "missing: ${missing[*]}. Install them (names are Debian's), or run this as root on Debian." >&2
  exit 1
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
