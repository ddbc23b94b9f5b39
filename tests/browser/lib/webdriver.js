// As much of WebDriver as these tests need, over fetch.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "./wait.js";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** chromedriver, on a port that it chooses. */
export class Driver {
  static async start(binary = process.env.CHROMEDRIVER ?? "chromedriver") {
    const child = spawn(binary, ["--port=0", "--log-level=WARNING"], { stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
    const port = await waitFor("chromedriver to say its port", () => {
      if (child.exitCode !== null) throw new Error(`chromedriver ended: ${said}`);
      return /started successfully on port (\d+)/.exec(said)?.[1];
    });
    return new Driver(child, `http://127.0.0.1:${port}`);
  }

  constructor(child, base) {
    [this.child, this.base] = [child, base];
    this.browsers = new Set();
  }

  /** A browser with a profile of its own. */
  async browser({ width = 1200, height = 800, args = [], folder } = {}) {
    const profile = folder ?? mkdtempSync(join(tmpdir(), "suda-profile-"));
    const { sessionId, capabilities } = await call(this.base, "POST", "/session", {
      capabilities: {
        alwaysMatch: {
          browserName: "chrome",
          "goog:chromeOptions": {
            binary: process.env.CHROMIUM ?? "/usr/bin/chromium",
            args: [
              "--headless=new",
              "--no-sandbox",
              "--disable-gpu",
              "--no-first-run",
              "--disable-background-networking",
              "--disable-component-update",
              "--disable-sync",
              "--disable-dev-shm-usage",
              `--user-data-dir=${profile}`,
              `--window-size=${width},${height}`,
              ...args,
            ],
          },
          "goog:loggingPrefs": { browser: "ALL" },
          timeouts: { script: 120_000 },
        },
      },
    });
    const browser = new Browser(this, `${this.base}/session/${sessionId}`, profile, folder === undefined);
    browser.devtools = capabilities["goog:chromeOptions"].debuggerAddress;
    this.browsers.add(browser);
    return browser;
  }

  async stop() {
    for (const browser of this.browsers) await browser.close().catch(() => {});
    this.child.kill();
  }
}

/** One browser. Methods are about the window that was switched to last. */
export class Browser {
  constructor(driver, base, profile, temporary) {
    [this.driver, this.base, this.profile, this.temporary] = [driver, base, profile, temporary];
    /** What the pages said on their consoles as errors, but for what tests expect. */
    this.errors = [];
  }

  call(method, path, body) {
    return call(this.base, method, path, body);
  }

  goto(url) {
    return this.call("POST", "/url", { url });
  }

  reload() {
    return this.call("POST", "/refresh", {});
  }

  /** Runs the function in the page, with these arguments; what it returns, or promises, comes back as JSON. */
  async run(act, ...args) {
    const script = `
      const done = arguments[arguments.length - 1];
      Promise.resolve().then(() => (${act})(...[].slice.call(arguments, 0, -1))).then(
        (value) => done({ value }),
        (error) => done({ error: { name: error?.name, message: String(error?.message ?? error), code: error?.code, stack: error?.stack } }),
      );`;
    const said = await this.call("POST", "/execute/async", { script, args });
    if (said?.error) throw Object.assign(new Error(`in the page: ${said.error.name}: ${said.error.message}\n${said.error.stack}`), { code: said.error.code });
    return said?.value;
  }

  /** Waits for the function to return something true in the page. */
  until(what, act, ...args) {
    return waitFor(what, () => this.run(act, ...args));
  }

  /** A command of Chromium's own protocol. */
  cdp(cmd, params = {}) {
    return this.call("POST", "/goog/cdp/execute", { cmd, params });
  }

  /** Lets pages of this origin notify, or not: "granted", "denied" or "prompt". */
  async mayNotify(state) {
    await this.call("POST", "/permissions", { descriptor: { name: "notifications" }, state });
  }

  /** Takes the network away from the page, or gives it back. */
  offline(offline) {
    return this.cdp("Network.enable").then(() =>
      this.cdp("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }),
    );
  }

  /** Input as of keys and pointers; all is let go of afterwards. */
  async perform(actions) {
    await this.call("POST", "/actions", { actions });
    await this.call("DELETE", "/actions");
  }

  async newTab() {
    const { handle } = await this.call("POST", "/window/new", { type: "tab" });
    return handle;
  }
  window() {
    return this.call("GET", "/window");
  }
  switchTo(handle) {
    return this.call("POST", "/window", { handle });
  }
  closeTab() {
    return this.call("DELETE", "/window");
  }

  async find(selector) {
    const found = await this.call("POST", "/element", { using: "css selector", value: selector });
    return new Element(this, found[ELEMENT]);
  }

  /** A PNG of the page. */
  async screenshot() {
    return Buffer.from(await this.call("GET", "/screenshot"), "base64");
  }

  resize(width, height) {
    return this.call("POST", "/window/rect", { width, height });
  }

  /** What the console has said since the last time. */
  async console() {
    const entries = await this.call("POST", "/se/log", { type: "browser" });
    this.errors.push(...entries.filter(({ level }) => level === "SEVERE").map(({ message }) => message));
    return entries;
  }

  async close() {
    this.driver.browsers.delete(this);
    await this.call("DELETE", "").catch(() => {});
    if (this.temporary) rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Element {
  constructor(browser, id) {
    [this.browser, this.id] = [browser, id];
  }
  click() {
    return this.browser.call("POST", `/element/${this.id}/click`, {});
  }
  clear() {
    return this.browser.call("POST", `/element/${this.id}/clear`, {});
  }
  type(text) {
    return this.browser.call("POST", `/element/${this.id}/value`, { text });
  }
  text() {
    return this.browser.call("GET", `/element/${this.id}/text`);
  }
}

async function call(base, method, path, body) {
  const response = await fetch(base + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const { value } = await response.json();
  if (!response.ok) throw Object.assign(new Error(`WebDriver ${method} ${path}: ${value.error}: ${value.message}`), { code: value.error });
  return value;
}
