// The host: the core, its links, its store and the HTTP API, for all tabs of one origin and server. It runs in the tab that
// holds the Web Lock; the others speak to it as its own tab does, through `ask` and `tell` (see tabs.js).

import init, { Engine } from "./suda.js";
import { Clock } from "./clock.js";
import { AuthError, ClientError, errorFrom, plainError } from "./errors.js";
import { uuid } from "./events.js";
import { Http } from "./http.js";
import { SocketLink, TransportLink } from "./links.js";
import { candidates } from "./nodes.js";
import { Notices } from "./notices.js";
import { Store } from "./store.js";

/** An alarm that rings so much too late means that the device has slept, or the page was frozen. */
const SLEPT_MS = 5_000;
/** A page that was hidden for so long asks for a sign of life when it is shown. */
const HIDDEN_MS = 10_000;
/** How long logging out waits for the server. */
const LOG_OUT_WITHIN_MS = 5_000;

export class Host {
  #options;
  #push;
  #engine;
  #store;
  #http;
  #clock;
  #notices;
  #links = new Map();
  #waiting = new Map();
  /** Channel → how many look, what of it is kept having been laid out, and the views: key → {front, view, kind, since, after}. */
  #channels = new Map();
  #failed = new Map();
  #failures = 0;
  #visible = new Map();
  #hiddenAt = null;
  #ended = null;
  #pumping = false;
  #listeners = new AbortController();

  /**
   * `push(front | null, message)`: to one tab, or all. `options.seen` is the list of channels that the host before this one
   * told last, if there was one.
   */
  static async start(options, push) {
    const host = new Host(options, push);
    await host.#start();
    return host;
  }

  constructor(options, push) {
    this.#options = options;
    this.#push = push;
  }

  async #start() {
    const { server, profile, storage, transports, clientName, wasm, seen } = this.#options;
    this.#store = new Store(() => this.#tellState());
    const opened = storage === "memory" ? null : this.#store.open(`suda:${server}:${profile}`);
    await Promise.all([init({ module_or_path: wasm ?? new URL("./suda_bg.wasm", import.meta.url) }), opened]);
    this.#http = new Http(
      server,
      (login) => this.#loginChanged(login),
      (nodes) => this.#store.write([["put", "nodes", nodes]]),
    );
    const [state, login, nodes, outbox, failed] = await Promise.all([
      this.#store.get("state"),
      this.#store.get("login"),
      this.#store.get("nodes"),
      this.#store.outbox(),
      this.#store.failed(),
    ]);
    for (const row of failed) this.#failed.set(row.id, row);
    this.#failures = failed.at(-1)?.order ?? 0;
    if (nodes) this.#http.knows(nodes);
    const seed = crypto.getRandomValues(new BigUint64Array(1))[0];
    const order = outbox.reduce((most, row) => Math.max(most, row.order), 0);
    const rows = outbox.map((row) => row.bytes);
    const keeps = this.#store.kind === "persistent";
    this.#engine = new Engine(Date.now(), seed, clientName, transports.join(), keeps, state, rows, order);
    this.#clock = new Clock((late) => this.#rang(late));
    this.#notices = new Notices(seen && JSON.parse(seen), login?.user);
    this.#listen();
    if (login) {
      this.#http.login = login;
      this.#do((engine, now) => engine.logIn(now, login.user, login.device, login.access, login.access_expires_at_ms));
    } else {
      this.#pump();
    }
  }

  #listen() {
    const { signal } = this.#listeners;
    const awake = () => this.#do((engine, now) => engine.networkChanged(now));
    globalThis.addEventListener("online", awake, { signal });
    globalThis.addEventListener("offline", awake, { signal });
    globalThis.addEventListener("pageshow", ({ persisted }) => persisted && awake(), { signal });
    document.addEventListener("resume", awake, { signal });
    const save = () => this.#do((engine) => engine.save());
    document.addEventListener("freeze", save, { signal });
    globalThis.addEventListener("pagehide", save, { signal });
  }

  #rang(late) {
    this.#do((engine, now) => (late > SLEPT_MS ? engine.networkChanged(now) : engine.tick(now)));
  }

  // ---- the core

  /** Tells the core something, and carries out what follows. */
  #do(act) {
    if (this.#ended) throw this.#ended;
    let result;
    try {
      result = act(this.#engine, Date.now());
    } catch (error) {
      throw this.#crashed(error);
    }
    this.#pump();
    return result;
  }

  /** A panic leaves the core in no state to go on; everything else that it throws is a mistake in these files. */
  #crashed(error) {
    if (!(error instanceof WebAssembly.RuntimeError)) return error;
    this.#ended = new ClientError("crashed", `the client has failed: ${error.message}`, { cause: error });
    for (const link of this.#links.values()) link.close(4000);
    this.#links.clear();
    this.#clock.stop();
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
    this.#tellState();
    return this.#ended;
  }

  #pump() {
    // What links say while they are written to is carried out by the loop that runs.
    if (this.#pumping || this.#ended) return;
    this.#pumping = true;
    try {
      const events = [];
      for (;;) {
        const writes = [];
        for (let write; (write = this.#engine.nextWrite()); ) writes.push(write);
        this.#store.write(writes);
        let acted = false;
        for (let effect; (effect = this.#engine.nextEffect()); acted = true) this.#carryOut(JSON.parse(effect));
        for (const [id, link] of this.#links) link.flush(this.#engine, id);
        for (let event; (event = this.#engine.nextEvent()); acted = true) events.push(JSON.parse(event));
        if (!acted && writes.length === 0) break;
      }
      this.#clock.set(this.#engine.timeout(Date.now()) ?? null);
      this.#pumping = false;
      this.#heard(events);
    } catch (error) {
      this.#pumping = false;
      throw this.#crashed(error);
    }
  }

  #carryOut(effect) {
    if (effect.t === "dial") this.#dial(effect.link, effect.candidate);
    else if (effect.t === "discover") this.#discover();
    else if (effect.t === "refresh_token") this.#refresh();
    else if (effect.t === "close") {
      this.#links.get(effect.link)?.close(effect.code);
      this.#links.delete(effect.link);
    }
  }

  #dial(id, candidate) {
    // Nothing is told from within the dial: the core is being asked what to do.
    const later = (act) => (...args) => queueMicrotask(() => this.#links.has(id) && !this.#ended && act(...args));
    const now = (act) => (...args) => (this.#links.has(id) && !this.#ended ? act(...args) : false);
    const to = {
      dialed: later(() => this.#do((engine, at) => engine.dialed(at, id))),
      ended: later((code) => {
        this.#links.delete(id);
        this.#do((engine, at) => engine.ended(at, id, code));
      }),
      received: now((stream, bytes) => this.#do((engine, at) => engine.received(at, id, stream, bytes))),
      streamEnded: now((stream, code) => this.#do((engine, at) => engine.streamEnded(at, id, stream, code))),
      datagram: now((body) => this.#do((engine, at) => engine.datagram(at, id, body))),
      message: now((bytes) => this.#do((engine, at) => engine.message(at, id, bytes))),
      room: now(() => this.#pump()),
    };
    try {
      this.#links.set(id, candidate.kind === "webtransport" ? new TransportLink(candidate, to) : new SocketLink(candidate, to));
    } catch {
      this.#links.set(id, { close() {}, flush() {} });
      to.ended();
    }
  }

  async #discover() {
    try {
      const { discovery, base } = await this.#http.discover();
      for (const { node, kind, url, hashes } of candidates(discovery, base)) this.#engine.candidate(node, kind, url, hashes);
      this.#do((engine, now) => engine.discovered(now));
    } catch (error) {
      if (!this.#ended) this.#do((engine, now) => engine.discoverFailed(now, error.message, error.retryAfterMs ?? undefined));
    }
  }

  async #refresh() {
    try {
      await this.#http.refresh();
    } catch (error) {
      if (this.#ended) return;
      const lost = error instanceof AuthError;
      if (lost && this.#http.login) await this.#http.take(null);
      this.#do((engine, now) => engine.tokenFailed(now, error.message, lost, error.retryAfterMs ?? undefined));
    }
  }

  async #loginChanged(login) {
    await this.#store.write([["put", "login", login]]);
    if (login && this.#engine.user() === login.user) {
      this.#do((engine, now) => engine.token(now, login.access, login.access_expires_at_ms));
    }
    this.#tellState();
  }

  // ---- what it says

  #heard(events) {
    const changed = new Set();
    for (const event of events) {
      switch (event.t) {
        case "status":
          // The login is worth nothing any more. What was kept stays, for the same user to go on with.
          if (event.status.why === "revoked" && this.#http.login) this.#http.take(null);
          this.#tellState();
          break;
        case "channel_list":
          this.#tellChannels(null);
          break;
        case "channel":
          changed.add(event.channel);
          break;
        case "channel_gone":
          this.#push(null, { push: "gone", channel: event.channel });
          for (const key of this.#channels.get(event.channel)?.views.keys() ?? []) changed.delete(key);
          break;
        case "sent":
          this.#sent(event);
          changed.add(event.channel);
          break;
        case "history":
        case "presence":
          if (event.t === "presence" && event.users.length) this.#push(null, { push: "presence", users: event.users });
          this.#answer(`${event.t}:${event.request}`, event.error, event.page ?? event.users);
          break;
        case "user":
          this.#push(null, { push: "user", event: event.entry.event });
          break;
        case "missed":
          this.#tellChannels(null);
          for (const id of this.#channels.keys()) changed.add(id);
          break;
        case "storage_failed":
        case "welcome":
          this.#tellState();
          break;
      }
    }
    for (const id of changed) this.#tellChannel(id);
  }

  #state() {
    const login = this.#http.login;
    const status = this.#ended
      ? { s: "stopped", why: this.#ended.code, message: this.#ended.message }
      : JSON.parse(this.#engine.status());
    return {
      push: "state",
      session: login && { userId: login.user, deviceId: login.device },
      status,
      onLine: navigator.onLine !== false,
      storage: { kind: this.#store.kind, reason: this.#store.reason },
    };
  }

  #tellState() {
    if (this.#engine) this.#push(null, this.#state());
  }

  #tellChannels(front) {
    const list = this.#engine.channels();
    const outbox = this.#engine.outboxSize();
    this.#push(front, { push: "channels", list, complete: this.#engine.isComplete(), outbox });
    if (front === null) this.#notices.look(JSON.parse(list), this.#http.login?.user, (notice) => this.#notify(notice));
  }

  async #notify(notice) {
    if (notice.unsure) {
      const page = await this.#history(notice.channelId, { around: notice.seq }, 1).catch(() => null);
      const what = page?.entries.find(({ seq }) => seq === notice.seq)?.what.message;
      if (!what?.mentions.includes(this.#http.login?.user)) return;
      notice.mention = true;
    }
    delete notice.unsure;
    const looking = [...this.#visible].some(
      ([front, visible]) => visible && [...(this.#channels.get(notice.channelId)?.views.values() ?? [])].some((view) => view.front === front),
    );
    // One tab is told: this one, which holds the lock.
    this.#push(this.#options.self, { push: "notify", notice: { ...notice, looking } });
  }

  #tellChannel(id) {
    this.#push(null, { push: "outbox", size: this.#engine.outboxSize() });
    const channel = this.#channels.get(id);
    if (!channel) return;
    for (const view of channel.views.values()) this.#tellView(id, view);
    const marks = this.#engine.marks(id);
    const typing = this.#engine.typing(id);
    if (marks !== channel.marks || typing !== channel.typing) {
      [channel.marks, channel.typing] = [marks, typing];
      this.#push(null, { push: "around", channel: id, marks, typing });
    }
  }

  #tellView(id, view) {
    if (view.kind === "past") {
      const entries = this.#engine.entries(id, view.after, 1_000);
      if (entries === undefined) {
        // The log begins later than what was told last: what lies between was not heard.
        view.after = this.#lastSeq(id);
        if (view.after > 0) this.#push(view.front, { push: "entries", view: view.id, entries: [], missed: true });
        return;
      }
      const list = JSON.parse(entries);
      if (list.length === 0) return;
      view.after = list.at(-1).seq;
      this.#push(view.front, { push: "entries", view: view.id, entries: list });
      return;
    }
    const update = this.#engine.timeline(id, view.since);
    if (update === undefined) return;
    const failed = [...this.#failed.values()].filter((row) => row.channel === id && row.op.message);
    const match = /^\{"version":(\d+)/.exec(update);
    view.since = Number(match[1]);
    this.#push(view.front, { push: "update", view: view.id, update, failed });
  }

  #sent({ channel, id, seq, at_ms, error }) {
    if (error) {
      const op = this.#failed.get(id)?.op ?? this.#ops.get(id);
      const row = { id, channel, op: op ?? {}, error, at_ms: Date.now(), order: ++this.#failures };
      this.#failed.set(id, row);
      this.#store.write([["failed", id, row]]);
    }
    this.#ops.delete(id);
    this.#push(null, { push: "sent", channel, id, seq, at_ms, error });
  }

  // ---- what is asked of it

  #ops = new Map();

  /** A question that the core answers by an event. */
  #ask(kind, begin) {
    return new Promise((resolve, reject) => {
      const request = this.#do(begin);
      if (request === undefined) return reject(errorFrom({ code: "overloaded", message: "too many questions wait" }));
      const key = `${kind}:${request}`;
      const others = this.#waiting.get(key);
      this.#waiting.set(key, {
        resolve: (value) => (others?.resolve(value), resolve(value)),
        reject: (error) => (others?.reject(error), reject(error)),
      });
    });
  }

  #history(channel, at, limit, thread) {
    const [[name, value]] = typeof at === "string" ? [[at, 0]] : Object.entries(at);
    return this.#ask("history", (engine, now) => engine.history(now, channel, name, value, limit, thread));
  }

  #answer(key, error, value) {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (error) waiting?.reject(errorFrom({ code: "unavailable", ...error }));
    else waiting?.resolve(value);
  }

  /** One call of a tab. */
  async call(front, method, args) {
    if (this.#ended && method !== "hello" && method !== "bye") throw this.#ended;
    const handler = this.#methods[method];
    if (!handler) throw new ClientError("unsupported", `this page is older or newer than another tab's: ${method}`);
    return handler.call(this, front, ...args);
  }

  #methods = {
    hello(front, visible) {
      this.#visible.set(front, visible);
      this.#push(front, this.#state());
      this.#tellChannels(front);
      this.#active();
    },
    visible(front, visible) {
      this.#visible.set(front, visible);
      this.#active();
    },
    bye(front) {
      this.#visible.delete(front);
      for (const [id, channel] of this.#channels) {
        for (const [key, view] of channel.views) if (view.front === front) this.#closeView(id, key);
      }
      if (!this.#ended) this.#active();
    },
    reconnect() {
      this.#do((engine, now) => (engine.connect(now), engine.retryNow(now)));
    },
    info: async () => (await this.#http.discover()).discovery,
    async login(front, path, body) {
      const login = await this.#http.ask("POST", path, body);
      await this.#logIn(login);
      return { userId: login.user, deviceId: login.device };
    },
    async password(front, old, fresh) {
      await this.#logIn(await this.#http.call("PUT", "account/password", { old, new: fresh }));
    },
    async logout(front, path, body) {
      if (path) await this.#http.call("DELETE", path, body);
      else if (this.#http.login) {
        const told = this.#http.call("POST", "logout").catch(() => {});
        await Promise.race([told, new Promise((resolve) => setTimeout(resolve, LOG_OUT_WITHIN_MS))]);
      }
      this.#failed.clear();
      for (const id of this.#ops.keys()) this.#push(null, { push: "sent", id, error: plainError(new AuthError("logged_out", "logged out")) });
      this.#ops.clear();
      this.#do((engine, now) => engine.logOut(now));
      await this.#store.write([["clear"]]);
      await this.#http.take(null);
    },
    http: (front, method, path, body) => this.#http.call(method, path, body),
    async channel(front, method, path, body) {
      const summary = await this.#http.call(method, path, body);
      this.#do((engine, now) => learn(engine, now, summary));
      return summary.channel;
    },
    async open(front, id, key, kind) {
      const known = this.#channels.get(id)?.views.get(`${front}/${key}`);
      if (known) return known.after;
      const channel = await this.#openChannel(id);
      const view = { id: key, front, kind, since: undefined, after: 0 };
      if (kind === "past") view.after = this.#lastSeq(id);
      channel.views.set(`${front}/${key}`, view);
      this.#tellView(id, view);
      this.#push(front, { push: "around", channel: id, marks: this.#engine.marks(id), typing: this.#engine.typing(id) });
      return view.after;
    },
    close(front, id, key) {
      this.#closeView(id, `${front}/${key}`);
    },
    send(front, channel, id, op) {
      this.#failed.delete(id);
      this.#store.write([["unfailed", id]]);
      this.#ops.set(id, op);
      const refused = this.#do((engine, now) => send(engine, now, channel, id, op));
      if (refused) {
        this.#ops.delete(id);
        throw errorFrom({ code: refused, message: "the send was not taken" });
      }
    },
    retry(front, channel, id) {
      const row = this.#failed.get(id);
      if (row) this.#methods.send.call(this, front, channel, id, row.op);
      return Boolean(row);
    },
    discard(front, channel, id) {
      if (this.#failed.delete(id)) {
        this.#store.write([["unfailed", id]]);
        this.#tellChannel(channel);
        return true;
      }
      const taken = this.#do((engine, now) => engine.takeBack(now, channel, id));
      if (taken) {
        this.#ops.delete(id);
        const error = plainError(new ClientError("closed", "it was discarded"));
        this.#push(null, { push: "sent", channel, id, error, discarded: true });
      }
      return taken;
    },
    history: (front, channel, at, limit, thread) => this.#history(channel, at, limit, thread),
    async older(front, channel, limit) {
      if (this.#engine.timeline(channel) === undefined) return 0;
      const first = JSON.parse(this.#engine.timeline(channel, Number.MAX_SAFE_INTEGER) ?? "null")?.first;
      if (first !== undefined && first <= 1) return 0;
      const page = await this.#ask("history", (engine, now) => engine.pageBack(now, channel, limit));
      return page?.entries.length ?? 0;
    },
    async message(front, channel, seq) {
      const held = this.#engine.entries(channel, seq - 1, 1);
      const entry = held && JSON.parse(held)[0];
      if (entry?.seq === seq) return entry;
      await this.#openChannel(channel);
      try {
        const page = await this.#history(channel, { around: seq }, 1);
        return page.entries.find((found) => found.seq === seq) ?? null;
      } finally {
        this.#closeView(channel, null);
      }
    },
    presence: (front, users) => this.#ask("presence", (engine, now) => engine.presence(now, users.join())),
    read: (front, channel, seq) => this.#do((engine, now) => engine.markRead(now, channel, seq)),
    typing: (front, channel, on) => this.#do((engine, now) => engine.setTyping(now, channel, on)),
  };

  async #logIn(login) {
    // The core forgets what was somebody else's.
    this.#do((engine, now) => engine.logIn(now, login.user, login.device, login.access, login.access_expires_at_ms));
    await this.#http.take(login);
    this.#tellChannels(null);
  }

  #active() {
    const active = [...this.#visible.values()].some(Boolean);
    if (active && this.#hiddenAt !== null && Date.now() - this.#hiddenAt > HIDDEN_MS) {
      this.#do((engine, now) => engine.networkChanged(now));
    }
    this.#hiddenAt = active ? null : (this.#hiddenAt ?? Date.now());
    this.#do((engine, now) => engine.setActive(now, active));
  }

  #lastSeq(id) {
    const shown = this.#engine.timeline(id, Number.MAX_SAFE_INTEGER);
    return shown === undefined ? 0 : JSON.parse(shown).next - 1;
  }

  /** Opens a channel in the core; what was kept of it is laid out before it asks. */
  async #openChannel(id) {
    let channel = this.#channels.get(id);
    if (!channel) this.#channels.set(id, (channel = { count: 0, views: new Map(), marks: "[]", typing: "[]", laid: null }));
    channel.count += 1;
    channel.laid ??= this.#store.entries(id).then((rows) => this.#do((engine) => engine.layOut(id, rows)));
    await channel.laid;
    this.#do((engine, now) => engine.open(now, id));
    return channel;
  }

  #closeView(id, key) {
    const channel = this.#channels.get(id);
    if (!channel || (key !== null && !channel.views.delete(key))) return;
    channel.count -= 1;
    if (channel.count === 0) this.#channels.delete(id);
    if (!this.#ended) this.#do((engine, now) => engine.close(now, id));
  }

  /** Ends it: the links are closed, and what is to be kept is. */
  async stop() {
    this.#listeners.abort();
    this.#clock.stop();
    if (!this.#ended) this.#do((engine, now) => engine.disconnect(now));
    this.#ended ??= new ClientError("closed", "the client was closed");
    for (const link of this.#links.values()) link.close(4000);
    this.#links.clear();
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    await this.#store.close();
  }
}

/** An op, as it is on the wire, into the outbox. What comes back is why it was not taken. */
function send(engine, now, channel, id, { message, edit, delete: deletion, react }) {
  if (message) return engine.sendMessage(now, channel, id, message.body.text, message.mentions.join(), message.reply_to ?? undefined);
  if (edit) return engine.sendEdit(now, channel, id, edit.target, edit.body.text, edit.mentions.join());
  if (deletion) return engine.sendDelete(now, channel, id, deletion.target);
  return engine.sendReact(now, channel, id, react.target, react.emoji, react.on);
}

/** A channel's summary, as it is on the wire. */
function learn(engine, now, { channel, kind, title, picture, peer, role, mute, members, head, last_at_ms, read, unread, preview }) {
  const numbers = [members, head, last_at_ms, read, unread, preview?.seq ?? 0, preview?.at_ms ?? 0];
  const muted = typeof mute === "object" ? String(mute.until) : mute;
  engine.learn(now, channel, kind, title, picture ?? undefined, peer ?? undefined, role, muted, numbers, preview?.by, preview?.text ?? "");
}
