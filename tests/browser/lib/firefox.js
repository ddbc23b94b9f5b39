// Firefox, by WebDriver BiDi, which it speaks by itself: as much as the tests of the app need.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "./wait.js";

const binary = ["firefox-esr", "firefox"].find((name) => spawnSync("which", [name]).status === 0);

/** Why there is no Firefox to test with, or false. */
export const lacking = !binary && "no firefox-esr";

const PREFERENCES = {
  "app.update.disabledForTesting": true,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "intl.accept_languages": "en",
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

export class Firefox {
  #answers = new Map();
  #next = 1;
  #socket;

  static async start() {
    const firefox = new Firefox();
    firefox.profile = mkdtempSync(join(tmpdir(), "suda-firefox-"));
    writeFileSync(join(firefox.profile, "user.js"), Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join(""));
    const args = ["--headless", "--no-remote", "--profile", firefox.profile, "--remote-debugging-port", "0"];
    firefox.child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: firefox.profile, MOZ_DISABLE_CONTENT_SANDBOX: "1" } });
    let said = "";
    firefox.child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
    const url = await waitFor("Firefox to say its port", () => {
      if (firefox.child.exitCode !== null) throw new Error(`Firefox ended: ${said}`);
      return /WebDriver BiDi listening on (ws:\S+)/.exec(said)?.[1];
    });
    await firefox.#connect(`${url}/session`);
    await firefox.command("session.new", { capabilities: {} });
    firefox.context = (await firefox.command("browsingContext.getTree", {})).contexts[0].context;
    return firefox;
  }

  async #connect(url) {
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => {
      const { id, type, result, error, message } = JSON.parse(data);
      const answer = this.#answers.get(id);
      this.#answers.delete(id);
      if (type === "success") answer?.resolve(result);
      else answer?.reject(new Error(`WebDriver BiDi: ${error}: ${message}`));
    };
    await new Promise((resolve, reject) => ([this.#socket.onopen, this.#socket.onerror] = [resolve, () => reject(new Error(`no connection to ${url}`))]));
    this.#socket.onclose = () => {
      for (const { reject } of this.#answers.values()) reject(new Error("Firefox has gone"));
      this.#answers.clear();
    };
  }

  command(method, params) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  goto(url) {
    return this.command("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  reload() {
    return this.command("browsingContext.reload", { context: this.context, wait: "complete" });
  }

  async run(act, ...args) {
    const said = await this.command("script.callFunction", {
      functionDeclaration: `async (args) => JSON.stringify({ value: await (${act})(...JSON.parse(args)) })`,
      arguments: [{ type: "string", value: JSON.stringify(args) }],
      awaitPromise: true,
      target: { context: this.context },
    });
    if (said.type === "exception") throw new Error(`in the page: ${said.exceptionDetails.text}`);
    return JSON.parse(said.result.value).value;
  }

  until(what, act, ...args) {
    return waitFor(what, () => this.run(act, ...args));
  }

  async perform(actions) {
    await this.command("input.performActions", { context: this.context, actions });
    await this.command("input.releaseActions", { context: this.context });
  }

  async find(selector) {
    const { nodes } = await this.command("browsingContext.locateNodes", { context: this.context, locator: { type: "css", value: selector }, maxNodeCount: 1 });
    if (!nodes.length) throw new Error(`nothing is ${selector}`);
    const origin = { type: "element", element: { sharedId: nodes[0].sharedId } };
    const click = () =>
      this.perform([{ type: "pointer", id: "mouse", actions: [{ type: "pointerMove", x: 0, y: 0, origin }, { type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }] }]);
    return {
      click,
      clear: () => this.run((selector) => {
        const field = document.querySelector(selector);
        field.focus();
        field.value = "";
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      }, selector),
      type: async (text) => {
        await click();
        await this.keys(text);
      },
    };
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.#socket?.close();
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
