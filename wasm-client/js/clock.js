// One alarm, which hidden pages keep too.

export class Clock {
  #ring;
  #timer;
  #worker = null;
  #at = null;

  constructor(ring) {
    this.#ring = ring;
    const wanted = () => document.visibilityState === "hidden" && this.#startWorker();
    globalThis.document?.addEventListener("visibilitychange", wanted);
    if (globalThis.document) wanted();
  }

  /** Rings once at this time, or not at all. */
  set(at) {
    this.#at = at;
    clearTimeout(this.#timer);
    const wait = at === null ? null : Math.max(0, Math.min(at - Date.now(), 0x7fffffff));
    if (wait !== null) this.#timer = setTimeout(() => this.#rang(), wait);
    this.#worker?.postMessage(wait);
  }

  stop() {
    this.set(null);
    this.#worker?.terminate();
    this.#ring = () => {};
  }

  #rang() {
    if (this.#at !== null && Date.now() >= this.#at - 1) {
      const late = Date.now() - this.#at;
      this.#at = null;
      this.#ring(late);
    }
  }

  #startWorker() {
    if (this.#worker) return;
    try {
      this.#worker = new Worker(new URL("./clock-worker.js", import.meta.url), { type: "module" });
      this.#worker.onmessage = () => this.#rang();
      // Where a policy forbids it, heartbeats may come late in hidden tabs: the link is made anew when they are shown.
      this.#worker.onerror = () => {};
      if (this.#at !== null) this.set(this.#at);
    } catch {
      // As above.
    }
  }
}
