// The tarball that npm makes, installed into an empty Vite project, which is built and opened.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { Node } from "./lib/node.js";
import { Driver } from "./lib/webdriver.js";

const root = resolve(import.meta.dirname, "../..");
let project, node, driver;

before(() => (project = mkdtempSync(join(tmpdir(), "suda-vite-"))));
after(async () => {
  await driver?.stop();
  await node?.stop();
  rmSync(project, { recursive: true, force: true });
});

test("an empty Vite project builds with the package, without plugins, and runs", async () => {
  const npm = (folder, ...args) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const [packed] = JSON.parse(npm(join(root, "wasm-client/pkg"), "pack", "--json", "--pack-destination", project));
  const names = packed.files.map(({ path }) => path);
  for (const name of ["index.js", "index.d.ts", "suda_bg.wasm", "README.md", "LICENSE"]) assert.ok(names.includes(name), name);

  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  npm(project, "install", "--offline", "--no-audit", "--no-fund", join(project, packed.filename));
  writeFileSync(join(project, "index.html"), '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>');
  writeFileSync(
    join(project, "main.js"),
    'import { Client, VERSION } from "suda";\nwindow.opened = Client.open().then((client) => ({ link: client.link, VERSION }));\n',
  );
  execFileSync(join(root, "wasm-client/tools/node_modules/.bin/vite"), ["build", "--logLevel", "warn"], { cwd: project, stdio: "inherit" });
  const assets = readdirSync(join(project, "dist/assets"));
  assert.ok(assets.some((name) => name.endsWith(".wasm")), `${assets}`);

  node = await Node.start({ web: join(project, "dist") });
  driver = await Driver.start();
  const browser = await driver.browser();
  await browser.goto(node.url);
  await browser.until("the page", () => Boolean(window.opened));
  const { link, VERSION } = await browser.run(() => window.opened);
  assert.deepEqual([link.state, link.reason, VERSION], ["ended", "logged-out", packed.version]);
});
