// `suda serve`, on free ports, with data of its own.

import { spawn } from "node:child_process";
import { copyFileSync, createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { waitFor } from "./wait.js";

const root = resolve(import.meta.dirname, "../../..");
const SETTINGS = {
  "accounts.hash_memory_kib": 8,
  "accounts.hash_passes": 1,
  "rate.connects": "10000/s, burst 10000",
  "rate.http_address": "100000/s, burst 100000",
  "rate.http_user": "100000/s, burst 100000",
  "rate.login_address": "10000/s, burst 10000",
  "rate.sign_up_address": "10000/s, burst 10000",
  "rate.sends": "100000/s, burst 100000",
  "store.reserve_bytes": 16777216,
};

export class Node {
  /** `settings` are those of `suda.toml`; `web` is the folder that is served at `/`. */
  static async start({ web, settings = {} } = {}) {
    const node = new Node({ ...SETTINGS, ...settings, ...(web ? { "node.web": web } : {}) });
    await node.#launch(0, 0);
    return node;
  }

  constructor(settings) {
    this.settings = settings;
    this.folder = mkdtempSync(join(tmpdir(), "suda-node-"));
  }

  async #launch(port, httpPort) {
    const binary = process.env.SUDA_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/suda");
    const args = ["serve", "--data", join(this.folder, "data"), "--host", "127.0.0.1", "--port", port, "--http-port", httpPort];
    for (const [key, value] of Object.entries(this.settings)) args.push("--set", `${key}=${value}`);
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SUDA_")));
    this.child = spawn(binary, args.map(String), { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    this.child.stderr.pipe(createWriteStream(join(this.folder, "log"), { flags: "a" }));
    let said = "";
    this.child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
    await waitFor("the node to be ready", () => {
      if (this.child.exitCode !== null) throw new Error(`the node ended: ${said}\n${this.log()}`);
      return said.includes("\n");
    });
    const named = (name) => new RegExp(`${name}[^ ]*:(\\d+)`).exec(said)?.[1];
    this.port = Number(named("quic="));
    this.httpPort = Number(named("http=http://"));
    this.url = `http://127.0.0.1:${this.httpPort}`;
  }

  log() {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  /** `kill -9`, or SIGTERM. */
  async kill(signal = "SIGKILL") {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await ended;
  }

  /** On the same data and ports. */
  restart() {
    return this.#launch(this.port, this.httpPort);
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill("SIGKILL");
    // For whoever looks into a failure: the name is that of the file of tests.
    const logs = process.env.SUDA_TEST_LOGS;
    if (logs) copyFileSync(join(this.folder, "log"), join(logs, `${basename(process.argv[1])}-${this.port}.log`));
    if (/panicked/.test(this.log())) throw new Error(`the node has panicked:\n${this.log()}`);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
