// The stand-in of the browsers' push service (tests/src/bin/suda-push-stand-in.rs): it takes what a node pushes, checks its
// signature, and decrypts it as a browser would.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { waitFor } from "./wait.js";

const root = resolve(import.meta.dirname, "../../..");

export class PushService {
  /** What was pushed: `{name, topic, payload}`. */
  pushed = [];
  wrong = [];

  /** With a subscription for each of these names. */
  static async start(...names) {
    const service = new PushService();
    const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/suda-push-stand-in");
    service.child = spawn(binary, names, { stdio: ["pipe", "pipe", "inherit"] });
    let said = "";
    service.child.stdout.setEncoding("utf8").on("data", (text) => {
      const lines = (said + text).split("\n");
      said = lines.pop();
      for (const line of lines) service.#heard(JSON.parse(line));
    });
    await waitFor("the push service to be there", () => service.subscriptions);
    return service;
  }

  #heard(message) {
    if (message.subscriptions) Object.assign(this, message);
    else if (message.wrong) this.wrong.push(message.wrong);
    else this.pushed.push(message);
  }

  /** The settings of a node that pushes to it. */
  settings() {
    this.folder = mkdtempSync(join(tmpdir(), "suda-push-"));
    const file = (name, text) => {
      writeFileSync(join(this.folder, name), text, { mode: 0o600 });
      return join(this.folder, name);
    };
    return {
      "push.vapid_key_file": file("vapid.pem", this.vapid_key),
      "push.extra_roots_file": file("root.pem", this.root_pem),
      "push.vapid_contact": "mailto:push@suda.example",
      "push.webpush_exempt": "127.0.0.1",
      "push.webpush_dismiss": true,
      "push.wait_ms": 100,
    };
  }

  /** The next push to this subscription that is so, from the `from`th of all pushes on. */
  async next(name, is, from = 0) {
    const found = await waitFor(`a push to ${name}`, () => {
      if (this.wrong.length) throw new Error(`the push service has refused: ${this.wrong}`);
      return this.pushed.slice(from).find((push) => push.name === name && is(push.payload));
    });
    return found.payload;
  }

  stop() {
    this.child.stdin.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
