// Tabs of one origin and server share a host. Whoever holds the Web Lock has it; the others speak to it over a
// BroadcastChannel. When its tab goes, the lock passes to another, which starts a host of its own from what is kept, and
// everybody says again what they have open and what they still wait for.

import { ClientError, SudaError, errorFrom, plainError } from "./errors.js";
import { uuid } from "./events.js";

export class Tabs {
  #options;
  #onPush;
  #onHost;
  #id = uuid();
  #host = null;
  #leader = null;
  #bus = null;
  #next = 1;
  #waiting = new Map();
  #closed = new AbortController();
  #release = () => {};
  #greeted = null;
  #failed = null;

  /** `onPush`: what the host says. `onHost`: there is a host, or another one: say what is open. */
  constructor(options, onPush, onHost) {
    this.#options = { ...options, self: this.#id };
    [this.#onPush, this.#onHost] = [onPush, onHost];
  }

  /** Fulfilled when there is a host. */
  async open() {
    const name = `suda:${this.#options.server}:${this.#options.profile}`;
    const greeted = new Promise((resolve, reject) => (this.#greeted = { resolve, reject }));
    const alone = !navigator.locks || typeof BroadcastChannel !== "function" || this.#options.storage === "memory";
    if (alone) {
      await this.#lead();
      return greeted;
    }
    const { signal } = this.#closed;
    // That this tab is there can be seen by its lock, which the browser releases however the tab ends. The host asks for it when
    // it hears of the tab; so nothing is said before the tab has it, or it would be taken for gone.
    await new Promise((resolve, reject) => {
      const held = () => (resolve(), new Promise((end) => signal.addEventListener("abort", end)));
      navigator.locks.request(`${name}:${this.#id}`, { signal }, held).catch(reject);
    });
    this.#bus = new BroadcastChannel(name);
    this.#bus.onmessage = ({ data }) => this.#heard(data);
    navigator.locks
      .request(name, { signal }, async () => {
        await this.#lead(name);
        await new Promise((resolve) => (this.#release = resolve));
      })
      .catch((error) => signal.aborted || this.#greeted.reject(error));
    this.#bus.postMessage({ who: this.#id });
    return greeted;
  }

  async #lead(name) {
    const { Host } = await import("./host.js");
    const push = (front, message) => {
      if (front === null || front === this.#id) this.#onPush(message);
      if (front !== this.#id) this.#bus?.postMessage({ to: front, from: this.#id, message });
    };
    try {
      this.#host = await Host.start({ ...this.#options, seen: this.#seen }, push);
    } catch (error) {
      this.#failed = error;
      this.#greeted.reject(error);
      throw error;
    }
    if (this.#closed.signal.aborted) return this.#host.stop();
    this.#lockName = name;
    this.#bus?.postMessage({ leader: this.#id });
    this.#found(this.#id);
  }

  #lockName = null;
  /** The list of channels as the host has told it last. */
  #seen = null;
  #watched = new Set();

  /** Notices when a tab that was heard of has gone. */
  #watch(front) {
    if (this.#watched.has(front)) return;
    this.#watched.add(front);
    navigator.locks
      .request(`${this.#lockName}:${front}`, { signal: this.#closed.signal }, () => {
        this.#watched.delete(front);
        this.#host?.call(front, "bye", []).catch(() => {});
      })
      .catch(() => {});
  }

  #found(leader) {
    if (this.#leader === leader) return;
    this.#leader = leader;
    // What was asked of the host before was not answered. All calls can be made twice.
    const unanswered = [...this.#waiting];
    this.#onHost();
    for (const [id, { method, args }] of unanswered) this.#ask(id, method, args);
    this.#greeted.resolve();
  }

  #heard(data) {
    if (data.who && this.#host) this.#bus.postMessage({ leader: this.#id });
    else if (data.leader) this.#found(data.leader);
    else if (data.message && data.from === this.#leader && (data.to === null || data.to === this.#id)) {
      if (data.message.push === "channels") this.#seen = data.message.list;
      this.#onPush(data.message);
    } else if (data.call && data.to === this.#id && this.#host) {
      this.#watch(data.from);
      this.#serve(data.from, data.call);
    } else if (data.answer && data.to === this.#id) this.#answered(data.answer);
  }

  async #serve(from, { id, method, args }) {
    let answer;
    try {
      answer = { id, value: await this.#host.call(from, method, args) };
    } catch (error) {
      answer = { id, error: plainError(error) };
    }
    this.#bus.postMessage({ to: from, answer });
  }

  #answered({ id, value, error }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(errorFrom(error));
    else waiting?.resolve(value);
  }

  #ask(id, method, args) {
    if (this.#host) {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      this.#host.call(this.#id, method, args).then(resolve, (error) => reject(error instanceof SudaError ? error : errorFrom(plainError(error))));
    } else if (this.#leader) {
      this.#bus.postMessage({ to: this.#leader, from: this.#id, call: { id, method, args } });
    }
  }

  /** Asks the host. Waits for there to be one. */
  call(method, ...args) {
    if (this.#closed.signal.aborted) return Promise.reject(new ClientError("closed", "the client was closed"));
    if (this.#failed) return Promise.reject(this.#failed);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, args, resolve, reject });
      this.#ask(id, method, args);
    });
  }

  async close() {
    if (this.#closed.signal.aborted) return;
    if (!this.#host) this.call("bye").catch(() => {});
    const error = new ClientError("closed", "the client was closed");
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#closed.abort();
    const host = this.#host;
    this.#host = null;
    await host?.stop();
    this.#release();
    this.#bus?.close();
  }
}
