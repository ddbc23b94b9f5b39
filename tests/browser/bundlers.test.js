// The tarball that npm makes, installed into an empty project, which Vite and webpack build, without plugins, and which is opened.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Node } from "./lib/node.js";
import { Driver } from "./lib/webdriver.js";

const root = resolve(import.meta.dirname, "../..");
const tools = join(root, "wasm-client/tools/node_modules");
let project, packed, driver;

before(async () => {
  project = mkdtempSync(join(tmpdir(), "suda-bundled-"));
  const npm = (folder, ...args) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  [packed] = JSON.parse(npm(join(root, "wasm-client/pkg"), "pack", "--json", "--pack-destination", project));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  npm(project, "install", "--offline", "--no-audit", "--no-fund", join(project, packed.filename));
  // The policy of the node that serves it wants to be asked before an address becomes code, as the package's README says.
  writeFileSync(
    join(project, "main.js"),
    `import { Client, VERSION } from "suda";
     globalThis.trustedTypes?.createPolicy("default", { createScriptURL: (address) => (new URL(address, location.href).origin === location.origin ? address : null) });
     window.opened = Client.open().then((client) => ({ link: client.link, VERSION }));`,
  );
  driver = await Driver.start();
});
after(async () => {
  await driver?.stop();
  rmSync(project, { recursive: true, force: true });
});

const page = (script) => `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;

async function opens(t, folder) {
  assert.ok(readdirSync(folder, { recursive: true }).some((name) => name.endsWith(".wasm")), "the module is there");
  const node = await Node.start({ web: folder });
  t.after(() => node.stop());
  const browser = await driver.browser();
  await browser.goto(node.url);
  await browser.until("the page", () => Boolean(window.opened));
  const { link, VERSION } = await browser.run(() => window.opened);
  assert.deepEqual([link.state, link.reason, VERSION], ["ended", "logged-out", packed.version]);
  await browser.close();
}

test("the tarball has what it says", () => {
  const names = packed.files.map(({ path }) => path);
  for (const name of ["index.js", "index.d.ts", "push-worker.js", "push-worker.d.ts", "suda_bg.wasm", "README.md", "LICENSE"]) assert.ok(names.includes(name), name);
});

test("an empty Vite project builds with the package, without plugins, and runs", async (t) => {
  writeFileSync(join(project, "index.html"), page("/main.js"));
  execFileSync(join(tools, ".bin/vite"), ["build", "--logLevel", "warn"], { cwd: project, stdio: "inherit" });
  await opens(t, join(project, "dist"));
});

test("an empty webpack project builds with the package, without plugins, and runs", async (t) => {
  const webpack = createRequire(join(tools, "webpack/package.json"))("webpack");
  const folder = join(project, "packed");
  const stats = await promisify(webpack)({ mode: "production", context: project, entry: "./main.js", output: { path: folder, publicPath: "/" }, performance: false });
  assert.deepEqual([stats.toJson().errors, stats.toJson().warnings], [[], []]);
  writeFileSync(join(folder, "index.html"), page("/main.js"));
  await opens(t, folder);
});
