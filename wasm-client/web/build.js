// Puts the app together for `suda serve`: the files as they are, and the package beside them, in a folder whose name changes
// with what is in it, each also compressed. Nothing is bundled; the page names all modules, so that they come at once.
//
//   node wasm-client/web/build.js FOLDER

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { en } from "./i18n/en.js";
import { ko } from "./i18n/ko.js";

const here = import.meta.dirname;
const [target] = process.argv.slice(2).map((path) => resolve(path));
const fresh = `${target}.new`;
const files = join(fresh, "files");

rmSync(fresh, { recursive: true, force: true });
mkdirSync(files, { recursive: true });
for (const name of ["js", "i18n", "css", "icon.svg", "icon.png", "app.webmanifest"]) cpSync(join(here, name), join(files, name), { recursive: true });
cpSync(resolve(here, "../pkg"), join(files, "suda"), { recursive: true, filter: (path) => !/\.(md|json|d\.ts)$|LICENSE$/.test(path) });

const names = readdirSync(files, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(files.length + 1))
  .sort();
const hash = createHash("sha256");
for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(files, name))).update("\0");
const folder = `static/${hash.digest("hex").slice(0, 16)}`;
mkdirSync(join(fresh, "static"));
renameSync(files, join(fresh, folder));

// A worker is fetched as one, when it is wanted.
const modules = names.filter((name) => name.endsWith(".js") && !name.endsWith("-worker.js") && name !== "js/main.js");
const preloads = [
  `<link rel="preload" href="/${folder}/suda/suda_bg.wasm" as="fetch" type="application/wasm" crossorigin>`,
  ...modules.map((name) => `<link rel="modulepreload" href="/${folder}/${name}">`),
];
const page = readFileSync(join(here, "index.html"), "utf8")
  .replaceAll("/static/dev/", `/${folder}/`)
  .replace("</head>", `${preloads.join("\n")}\n</head>`);
writeFileSync(join(fresh, "index.html"), page);

// Its place decides what it is for, so it is at the top, under a name that stays; it is another one whenever the folder is.
const spoken = (texts) => Object.fromEntries(Object.entries(texts).filter(([key]) => key.startsWith("push.")));
const worker = readFileSync(join(here, "service-worker.js"), "utf8")
  .replace("const WORDS = {};", `const WORDS = ${JSON.stringify({ en: spoken(en), ko: spoken(ko) })};`)
  .replaceAll("/static/dev/", `/${folder}/`);
writeFileSync(join(fresh, "service-worker.js"), worker);

let [raw, sent] = [0, 0];
for (const name of ["index.html", "service-worker.js", ...names.map((name) => join(folder, name))]) {
  const bytes = readFileSync(join(fresh, name));
  const brotli = brotliCompressSync(bytes);
  raw += bytes.length;
  sent += Math.min(brotli.length, bytes.length);
  if (bytes.length < 200) continue;
  writeFileSync(join(fresh, `${name}.br`), brotli);
  writeFileSync(join(fresh, `${name}.gz`), gzipSync(bytes, { level: 9 }));
}
rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
console.error(`the app: ${names.length + 2} files, ${raw} bytes, ${sent} as they are sent`);
