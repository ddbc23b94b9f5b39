#!/usr/bin/env bash
# Makes the compiler able to build for wasm32-unknown-unknown, and prints the RUSTFLAGS that this takes (often none):
#
#   CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$(scripts/wasm-target.sh)" cargo build --target wasm32-unknown-unknown ...
#
# Three ways, the first that works:
#   1. the toolchain has the target;
#   2. rustup adds it;
#   3. where rustup's servers can't be reached but Debian's can: the package rust-src of the compiler's own version holds the
#      standard library's source, from which it is built once, into the user's cache.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
version=$(rustc --version | cut -d' ' -f2)
# Beside the user's other caches: it is the compiler's, not this clone's.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/suda
sysroot=$tools/wasm-sysroot-$version

say() { printf '%s\n' "$*" >&2; }

has_std() { compgen -G "$1/lib/rustlib/$target/lib/libcore-*.rlib" >/dev/null; }

# Fetches Debian's rust-src of exactly this compiler's version into $1, without touching the machine's own package lists.
# The mirror and its keys are those that apt is configured with; only newer suites than the machine's are looked at.
fetch_rust_src() {
  local into=$1 apt=$1/apt mirror suite found
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u | grep -v security | head -n 1)
  [ -n "$mirror" ] || { say "apt knows no Debian mirror"; return 1; }
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  local options=(
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache::archives=$apt/archives" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
    -o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=-" -o "Dir::Etc::Preferences=-" -o "Dir::Etc::PreferencesParts=-"
    -o "Acquire::Languages=none"
  )
  for suite in trixie-backports trixie bookworm-backports forky sid; do
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$apt/sources.list"
    apt-get "${options[@]}" update >"$into/apt.log" 2>&1 || continue
    found=$(apt-cache "${options[@]}" madison rust-src | awk '{print $3}' | grep -E "^${version//./\\.}[+~-]" | head -n 1 || true)
    [ -n "$found" ] || continue
    say "taking rust-src $found from $suite"
    (cd "$into" && apt-get "${options[@]}" download "rust-src=$found" >>"$into/apt.log" 2>&1) || continue
    dpkg-deb --fsys-tarfile "$into"/rust-src_*.deb | tar -x -C "$into" --strip-components=4 --wildcards './usr/src/rustc-*/library'
    return 0
  done
  say "no Debian suite has rust-src $version"
  return 1
}

# Builds the standard library from the source tree $1 for the target, with the compiler that is there. It is the same version,
# so RUSTC_BOOTSTRAP (which lets a stable compiler build its own library) asks for nothing that the compiler can't do.
build_std() {
  local library=$1 work=$2 out=$sysroot.new
  RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zforce-unstable-if-unmarked -Cpanic=abort -Cembed-bitcode=yes" \
    CARGO_TARGET_DIR="$work/target" \
    cargo build --manifest-path "$library/sysroot/Cargo.toml" --release --locked --target "$target" >&2
  rm -rf "$out"
  mkdir -p "$out/lib/rustlib/$target/lib"
  cp "$work/target/$target/release/deps"/*.rlib "$out/lib/rustlib/$target/lib/"
  rm -rf "$sysroot" && mv -T "$out" "$sysroot"
}

if has_std "$(rustc --print sysroot)"; then
  exit 0
fi
if has_std "$sysroot"; then
  echo "--sysroot=$sysroot"
  exit 0
fi
if command -v rustup >/dev/null && timeout 120 rustup target add "$target" >&2 && has_std "$(rustc --print sysroot)"; then
  exit 0
fi

say "the toolchain lacks $target and rustup can't add it: building its standard library from Debian's rust-src"
mkdir -p "$tools"
work=$(mktemp -d "$tools/rust-src.XXXXXX")
trap 'rm -rf "$work"' EXIT
fetch_rust_src "$work" || exit 1
build_std "$work/library" "$work"
has_std "$sysroot"
echo "--sysroot=$sysroot"
