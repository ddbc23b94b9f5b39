#!/usr/bin/env bash
# Builds the npm package of the browser client into wasm-client/pkg: plain ES modules, the .wasm, the types, a README.
# With --debug: the module with its messages and names. Ends with 3 if this machine can't build for wasm32.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=wasm debug=()
[ "${1:-}" != --debug ] || { profile=dev debug=(--debug); }

echo "step: preparing the compiler for wasm32"
flags=$(scripts/wasm-target.sh) || exit 3
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags"
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
echo "step: compiling the browser module"
# The tool is compiled beside the module, whose last part keeps one core only.
scripts/wasm-bindgen.sh >/dev/null &
tool=$!
cargo build --profile "$profile" --target wasm32-unknown-unknown -p suda-wasm
wait "$tool"
bindgen=$(scripts/wasm-bindgen.sh)

echo "step: putting the package together"
new=$target/wasm-package
rm -rf "$new" && mkdir -p "$new"
[ "$profile" != dev ] || profile=debug
"$bindgen" "$target/wasm32-unknown-unknown/$profile/suda_wasm.wasm" "$new" suda "${debug[@]}"
cp wasm-client/js/*.js wasm-client/js/*.d.ts wasm-client/package.json wasm-client/README.md LICENSE "$new/"

if [ ${#debug[@]} -eq 0 ]; then
  # Pinned with its lock file; the features are those that the compiler uses for this target.
  (cd wasm-client/tools && npm ci --silent --no-audit --no-fund)
  wasm-client/tools/node_modules/.bin/wasm-opt -O1 \
    --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-reference-types --enable-multivalue \
    --enable-mutable-globals "$new/suda_bg.wasm" -o "$new/suda_bg.wasm"
fi
node wasm-client/tools/tidy.js "$new"
rm -rf wasm-client/pkg && mv "$new" wasm-client/pkg
