// Runs the module's own tests, written with wasm-bindgen-test, in Chromium. Its usual runner is a program to be installed; all
// that it does is to call them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { Driver } from "./lib/webdriver.js";

const root = resolve(import.meta.dirname, "../..");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
let folder, server, driver;

before(() => (folder = mkdtempSync(join(tmpdir(), "suda-wasm-"))));
after(async () => {
  await driver?.stop();
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Compiles the tests, where `make test` has not. */
function build() {
  const flags = execFileSync(join(root, "scripts/wasm-target.sh"), { encoding: "utf8" }).trim();
  const env = { ...process.env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: flags };
  const args = ["test", "--no-run", "--target", "wasm32-unknown-unknown", "-p", "suda-wasm", "--test", "engine", "--message-format", "json"];
  const built = execFileSync("cargo", args, { cwd: root, env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return built.trim().split("\n").map((line) => JSON.parse(line)).findLast((message) => message.executable).executable;
}

test("the module's unit tests pass in the browser", async () => {
  const executable = process.env.SUDA_WASM_TESTS || build();
  execFileSync(execFileSync(join(root, "scripts/wasm-bindgen.sh"), { encoding: "utf8" }).trim(), [executable, folder, "tests", "--debug"]);
  writeFileSync(join(folder, "index.html"), '<!doctype html><pre id="output"></pre><script type="module" src="run.js"></script>');
  writeFileSync(
    join(folder, "run.js"),
    `import init, { WasmBindgenTestContext } from "./tests.js";
     window.__wbg_test_invoke = (act) => act();
     window.ran = (async () => {
       const wasm = await init({ module_or_path: "./tests_bg.wasm" });
       const names = Object.keys(wasm).filter((name) => name.startsWith("__wbgt_"));
       const context = new WasmBindgenTestContext(false);
       const passed = await context.run(names.map((name) => wasm[name]));
       return { passed, count: names.length, output: document.getElementById("output").textContent };
     })();`,
  );
  server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : request.url;
    try {
      const bytes = readFileSync(join(folder, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  driver = await Driver.start();
  const browser = await driver.browser();
  await browser.goto(`http://127.0.0.1:${server.address().port}/`);
  await browser.until("the tests to begin", () => Boolean(window.ran));
  const { passed, count, output } = await browser.run(() => window.ran);
  console.log(output);
  assert.ok(passed, output);
  assert.ok(count >= 4, `${count} tests`);
});
