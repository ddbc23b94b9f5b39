// IndexedDB: the session, the core's small state, the outbox, entries. Where it can't be had (private mode, a full disk, a
// policy), everything goes on in memory.

const VERSION = 1;
/** The newest entries of a channel that are read when it is opened, and those that are kept. */
const READ_MAX = 500;
const KEEP_MAX = 5_000;

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Store {
  #db = null;
  #onMemory;
  #writing = Promise.resolve();
  reason = null;

  constructor(onMemory) {
    this.#onMemory = onMemory;
  }

  get kind() {
    return this.#db ? "persistent" : "memory";
  }

  async open(name) {
    try {
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => {
        for (const store of ["kv", "entries", "outbox", "failed"]) request.result.createObjectStore(store);
      };
      request.onblocked = () => {};
      this.#db = await done(request);
      // Another tab with a newer version wants it; it is given up rather than held.
      this.#db.onversionchange = () => this.#toMemory("a newer version of this page is open");
      this.#db.onclose = () => this.#toMemory("the browser has closed the database");
    } catch (error) {
      this.#toMemory(String(error));
    }
  }

  #toMemory(reason) {
    this.#db?.close();
    this.#db = null;
    this.reason = reason;
    this.#onMemory();
  }

  async #read(stores, read, otherwise) {
    if (!this.#db) return otherwise;
    try {
      return await read(this.#db.transaction(stores).objectStore(stores));
    } catch (error) {
      this.#toMemory(String(error));
      return otherwise;
    }
  }

  get(key) {
    return this.#read("kv", (kv) => done(kv.get(key)), undefined);
  }

  async outbox() {
    const rows = await this.#read("outbox", (outbox) => done(outbox.getAll()), []);
    return rows.sort((a, b) => a.order - b.order);
  }

  /** Those that were refused, as it happened. */
  async failed() {
    const rows = await this.#read("failed", (failed) => done(failed.getAll()), []);
    return rows.sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  }

  /** The newest entries of a channel, in order. */
  entries(channel) {
    const all = IDBKeyRange.bound([channel, 0], [channel, Number.MAX_SAFE_INTEGER]);
    const read = async (entries) => {
      const newest = await done(entries.openKeyCursor(all, "prev"));
      if (!newest) return [];
      const top = newest.key[1];
      if (top > KEEP_MAX) this.write([["prune", channel, top - KEEP_MAX]]);
      return done(entries.getAll(IDBKeyRange.bound([channel, top - READ_MAX + 1], [channel, top])));
    };
    return this.#read("entries", read, []);
  }

  /** Keeps what the core has given, all or nothing, in order. */
  write(writes) {
    if (!this.#db || writes.length === 0) return this.#writing;
    this.#writing = this.#commit(writes).catch((error) => this.#toMemory(String(error)));
    return this.#writing;
  }

  #commit(writes) {
    return new Promise((resolve, reject) => {
      const tx = this.#db.transaction(["kv", "entries", "outbox", "failed"], "readwrite");
      tx.oncomplete = () => resolve();
      tx.onabort = tx.onerror = () => reject(tx.error ?? new Error("the transaction was aborted"));
      const [kv, entries, outbox, failed] = ["kv", "entries", "outbox", "failed"].map((name) => tx.objectStore(name));
      for (const [what, key, place, value] of writes) {
        if (what === "entry") entries.put(value, [key, place]);
        else if (what === "state") kv.put(key, "state");
        else if (what === "outbox") outbox.put({ order: place, bytes: value }, key);
        else if (what === "answered") outbox.delete(key);
        else if (what === "forget") entries.delete(IDBKeyRange.bound([key, 0], [key, Number.MAX_SAFE_INTEGER]));
        else if (what === "prune") entries.delete(IDBKeyRange.bound([key, 0], [key, place]));
        else if (what === "put") kv.put(place, key);
        else if (what === "failed") failed.put(place, key);
        else if (what === "unfailed") failed.delete(key);
        else if (what === "clear") {
          entries.clear();
          outbox.clear();
          failed.clear();
          kv.delete("state");
        }
      }
    });
  }

  async close() {
    await this.#writing;
    this.#db?.close();
    this.#db = null;
  }
}
