// A window on a channel. What it shows is made of two stretches: the live one, which the core holds and which ends with what
// is on its way; and, after a jump or in a thread, one of the past, fetched by pages. When the past one has grown into the
// live one they are shown as one.

import { ClientError } from "./errors.js";
import { TypedEventTarget, abortable, emit, uuid } from "./events.js";
import { entryItem, failedItem, shownItem } from "./wire.js";

const PAGE = 50;

export class Timeline extends TypedEventTarget {
  channel;
  threadRoot;
  closed = false;
  items = [];
  hasOlder = true;
  hasNewer = false;
  loading = null;
  firstUnread = null;
  ready;

  #tabs;
  #me;
  #views = [];
  #live = { items: [], first: null, pending: [], failed: [] };
  #past = null;
  #changes = null;
  #wake = () => {};
  #isReady;
  #onClose;
  #readBefore;
  #busy = Promise.resolve();

  constructor(channel, tabs, me, threadRoot, { at = "newest", signal } = {}, onClose) {
    super();
    this.channel = channel;
    this.threadRoot = threadRoot;
    this.#tabs = tabs;
    this.#me = me;
    this.#onClose = onClose;
    this.#readBefore = channel.info?.read ?? null;
    let settle;
    this.ready = new Promise((resolve, reject) => (settle = { resolve, reject }));
    this.ready.catch(() => {});
    this.#isReady = settle;
    if (signal?.aborted) return this.close();
    signal?.addEventListener("abort", () => this.close(), { once: true });
    this.#open("live");
    if (threadRoot !== null) this.#restart();
    else if (at !== "newest") this.jumpTo(at).catch(() => {});
  }

  #open(kind) {
    const view = { key: uuid(), kind };
    this.#views.push(view);
    return this.#call("open", view.key, kind).catch((error) => this.#end(error));
  }

  #call(method, ...args) {
    return this.#tabs.call(method, this.channel.id, ...args);
  }

  /** Another host: it knows of no views. */
  reopen() {
    for (const { key, kind } of this.#views) this.#call("open", key, kind).catch(() => {});
    if (this.#past) this.#refetch();
  }

  has(key) {
    return this.#views.some((view) => view.key === key);
  }

  // ---- what the host says

  update(json, failed) {
    if (this.closed) return;
    const update = JSON.parse(json);
    const live = this.#live;
    if (update.reset) live.items = [];
    live.first = update.first;
    const before = new Map(live.pending.map((item) => [item.key, item]));
    live.pending = [];
    const changed = [];
    for (const raw of update.items) {
      if (raw.seq === null) {
        const old = before.get(`${raw.by}:${raw.id}`);
        const same = old && old.delivery === raw.delivery && old.changing === raw.changing;
        const item = same ? old : shownItem(raw, this.#me);
        live.pending.push(item);
        if (!same) changed.push(item);
      } else {
        const item = shownItem(raw, this.#me);
        place(live.items, item);
        changed.push(item);
      }
    }
    const old = new Map(live.failed.map((item) => [item.clientMsgId, item]));
    live.failed = failed.map((row) => old.get(row.id) ?? failedItem(row, this.#me));
    changed.push(...live.failed.filter((item) => !old.has(item.clientMsgId)));
    this.#show(changed, update.reset && !this.#past);
  }

  /** Entries that came, for the stretch of the past. */
  came(entries, missed) {
    const past = this.#past;
    if (!past || this.closed) return;
    if (missed) return this.#refetch();
    const stale = new Set();
    const changed = [];
    for (const entry of entries) {
      const { what } = entry;
      const target = (what.edit ?? what.delete ?? what.react)?.target;
      if (target !== undefined) {
        if (past.items.some((item) => item.seq === target)) stale.add(target);
      } else if (this.threadRoot !== null && what.message?.thread === this.threadRoot && !past.moreAfter) {
        const item = entryItem(entry, this.#me);
        place(past.items, item);
        changed.push(item);
      }
    }
    if (changed.length) this.#show(changed, false);
    for (const seq of stale) this.#refresh(seq);
  }

  async #refresh(seq) {
    const entry = await this.#call("message", seq).catch(() => null);
    const item = entry && entryItem(entry, this.#me);
    if (!item || !this.#past?.items.some((old) => old.seq === seq)) return;
    place(this.#past.items, item);
    this.#show([item], false);
  }

  gone(error) {
    this.#end(error);
  }

  // ---- showing

  #show(changed, reset) {
    const { items, first, pending, failed } = this.#live;
    const past = this.#past;
    let shown;
    if (past && this.threadRoot !== null) {
      const inThread = new Set(past.items.map((item) => item.seq));
      const mine = [...pending, ...failed].filter((item) => item.replyTo === this.threadRoot || inThread.has(item.replyTo));
      shown = [...past.items, ...mine];
      [this.hasOlder, this.hasNewer] = [past.moreBefore, past.moreAfter];
    } else if (past) {
      const joined = first !== null && past.last >= first - 1;
      const tail = joined ? items.filter((item) => item.seq > past.last || item.seq >= first) : [];
      const from = joined ? first : Infinity;
      shown = [...past.items.filter((item) => item.seq < from), ...tail, ...(joined ? [...pending, ...failed] : [])];
      [this.hasOlder, this.hasNewer] = [past.moreBefore, !joined && past.moreAfter];
    } else {
      shown = [...items, ...pending, ...failed];
      [this.hasOlder, this.hasNewer] = [first === null || first > 1, false];
    }
    const keys = new Set(shown.map((item) => item.key));
    const removed = this.items.filter((item) => !keys.has(item.key)).map((item) => item.key);
    this.items = shown;
    this.#findUnread();
    if (first !== null || past) this.#isReady.resolve();
    const visible = changed.filter((item) => keys.has(item.key));
    emit(this, "change", { items: shown, changed: visible, removed, reset });
    const sum = (this.#changes ??= { changed: new Map(), removed: new Set(), reset: false });
    for (const item of visible) sum.changed.set(item.key, item);
    for (const key of removed) sum.removed.add(key);
    sum.reset ||= reset;
    this.#wake();
  }

  #findUnread() {
    if (this.firstUnread !== null) return;
    this.#readBefore ??= this.channel.info?.read ?? null;
    const read = this.#readBefore;
    if (read === null) return;
    const oldest = this.items[0]?.seq ?? Infinity;
    const found = this.items.find((item) => item.type === "message" && !item.own && item.seq !== null && item.seq > read);
    // Where the first item shown is unread already, there may be others before it.
    if (found && (oldest <= read + 1 || !this.hasOlder || found.seq > oldest)) this.firstUnread = found.seq;
  }

  // ---- going elsewhere

  /** One at a time: pages must not overtake each other. */
  #inTurn(loading, act, signal) {
    const turn = this.#busy.then(async () => {
      if (this.closed) throw new ClientError("closed", "the timeline is closed");
      this.loading = loading;
      try {
        return await act();
      } finally {
        this.loading = null;
      }
    });
    this.#busy = turn.catch(() => {});
    return abortable(turn, signal);
  }

  loadOlder({ limit = PAGE, signal } = {}) {
    const act = async () => {
      if (!this.hasOlder) return 0;
      const before = this.items.length;
      if (!this.#past) {
        await this.#call("older", limit);
      } else {
        const page = await this.#history({ before: this.#past.first }, limit);
        this.#past.moreBefore = page.more_before;
        this.#take(page);
      }
      return Math.max(0, this.items.length - before);
    };
    return this.#inTurn("older", act, signal);
  }

  loadNewer({ limit = PAGE, signal } = {}) {
    const act = async () => {
      if (!this.hasNewer || !this.#past) return 0;
      const before = this.items.length;
      const page = await this.#history({ after: this.#past.last }, limit);
      this.#past.moreAfter = page.more_after;
      this.#take(page);
      return Math.max(0, this.items.length - before);
    };
    return this.#inTurn("newer", act, signal);
  }

  jumpTo(where, { signal } = {}) {
    return this.#inTurn("jump", () => this.#jump(where), signal);
  }

  async #jump(where) {
    if (where === "newest" || (where === "unread" && this.channel.info?.unread === 0)) {
      if (this.#past && this.threadRoot === null) this.#leavePast();
      else if (this.#past) await this.#fetch("newest");
      await this.ready;
      return this.items.at(-1) ?? null;
    }
    if (where === "unread") this.#readBefore = this.channel.info?.read ?? this.#readBefore;
    const nearest = (seq) => this.items.find((item) => item.seq !== null && item.seq >= seq) ?? this.items.at(-1) ?? null;
    const seq = where === "unread" ? this.#readBefore + 1 : where.seq;
    const [oldest, newest] = [this.items[0]?.seq ?? Infinity, this.items.findLast((item) => item.seq !== null)?.seq ?? 0];
    if (seq !== undefined && oldest <= seq && (seq <= newest || !this.hasNewer)) return nearest(seq);
    const page = await this.#fetch(where === "unread" ? "unread" : where.time !== undefined ? { time: where.time } : { around: where.seq });
    if (where === "unread") this.firstUnread = null;
    this.#findUnread();
    if (where.time !== undefined) return this.items.find((item) => item.atMs >= where.time) ?? this.items.at(-1) ?? null;
    return nearest(seq ?? page.entries[0]?.seq ?? 0);
  }

  async #fetch(at, limit = 2 * PAGE) {
    if (!this.#views.some((view) => view.kind === "past")) await this.#open("past");
    const page = await this.#history(at, limit);
    this.#past = { items: [], first: Infinity, last: 0, moreBefore: page.more_before, moreAfter: page.more_after };
    this.#take(page, true);
    return page;
  }

  #leavePast() {
    this.#past = null;
    for (const view of this.#views.filter(({ kind }) => kind === "past")) this.#call("close", view.key).catch(() => {});
    this.#views = this.#views.filter(({ kind }) => kind !== "past");
    this.#show([], true);
  }

  #history(at, limit) {
    return this.#call("history", at, limit, this.threadRoot ?? undefined);
  }

  #take(page, reset = false) {
    const past = this.#past;
    if (!past) return;
    const changed = [];
    for (const entry of page.entries) {
      [past.first, past.last] = [Math.min(past.first, entry.seq), Math.max(past.last, entry.seq)];
      const item = entryItem(entry, this.#me);
      if (!item) continue;
      place(past.items, item);
      changed.push(item);
    }
    this.#show(changed, reset);
  }

  #restart() {
    this.#inTurn("jump", () => this.#fetch("newest")).catch((error) => this.#isReady.reject(error));
  }

  /** Something may have been missed: the same stretch once more. */
  #refetch() {
    const { first, items } = this.#past;
    const at = items.length ? { after: first - 1 } : "newest";
    this.#inTurn("jump", () => this.#fetch(at, Math.min(500, Math.max(2 * PAGE, items.length)))).catch(() => {});
  }

  // ---- the end

  close() {
    this.#end(null);
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.close();
  }

  #end(error) {
    if (this.closed) return;
    this.closed = true;
    for (const { key } of this.#views) this.#call("close", key).catch(() => {});
    this.#isReady.reject(error ?? new ClientError("closed", "the timeline is closed"));
    this.#onClose(this);
    emit(this, "close", { error });
    this.#failure = error;
    this.#wake();
  }

  #failure = null;

  async *[Symbol.asyncIterator]() {
    try {
      await this.ready.catch(() => {});
      let first = true;
      for (;;) {
        if (this.#failure) throw this.#failure;
        if (this.closed) return;
        const changes = this.#changes;
        this.#changes = null;
        if (first) yield { items: this.items, changed: this.items, removed: [], reset: true };
        else if (changes) yield { items: this.items, changed: [...changes.changed.values()], removed: [...changes.removed], reset: changes.reset };
        first = false;
        if (!this.#changes && !this.closed) await new Promise((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.close();
    }
  }
}

/** Puts an item where its seq belongs, in place of the one that is there. */
function place(items, item) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].seq < item.seq) low = middle + 1;
    else high = middle;
  }
  items.splice(low, items[low]?.seq === item.seq ? 1 : 0, item);
}
