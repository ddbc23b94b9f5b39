// The last step of the package: takes the comments out of the generated glue (the API's are in index.d.ts), and checks that
// what is said twice is the same.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const read = (name) => readFileSync(join(folder, name), "utf8");

const glue = read("suda.js").replace(/^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm, "");
writeFileSync(join(folder, "suda.js"), glue);

const { version } = JSON.parse(read("package.json"));
const workspace = /^\[workspace\.package\]\nversion = "(.*)"/m.exec(readFileSync("Cargo.toml", "utf8"))?.[1];
const inCode = /VERSION = "(.*)"/.exec(read("version.js"))?.[1];
if (version !== workspace || version !== inCode) {
  throw new Error(`versions differ: Cargo.toml ${workspace}, package.json ${version}, js/version.js ${inCode}`);
}
