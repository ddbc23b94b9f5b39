// What the package weighs when it is fetched: the .wasm and all JavaScript, as they are in the package, each compressed by
// itself as a server sends it. Fails over the limit.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

/** 150 kB, with brotli at its best, which is what files that never change are served with. */
const BROTLI_BYTES_MAX = 150_000;

const folder = "wasm-client/pkg";
const total = { raw: 0, gzip: 0, brotli: 0 };
for (const name of readdirSync(folder).filter((name) => /\.(js|wasm)$/.test(name))) {
  const bytes = readFileSync(join(folder, name));
  const size = { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
  for (const key of Object.keys(total)) total[key] += size[key];
  console.log(`${name.padEnd(18)} ${String(size.raw).padStart(8)} B, gzip ${size.gzip}, brotli ${size.brotli}`);
}
console.log(`${"all".padEnd(18)} ${String(total.raw).padStart(8)} B, gzip ${total.gzip}, brotli ${total.brotli} (at most ${BROTLI_BYTES_MAX})`);
if (total.brotli > BROTLI_BYTES_MAX) {
  console.error(`the package is ${total.brotli - BROTLI_BYTES_MAX} bytes too heavy`);
  process.exit(1);
}
