// The client as the app has it: what the host says, kept as the API shows it.

import { Channel } from "./channel.js";
import { ClientError, SudaError, ServerError, errorFrom } from "./errors.js";
import { TypedEventTarget, abortable, emit, uuid } from "./events.js";
import { Devices, Friends, Me, PresenceBook, Users } from "./people.js";
import { Push } from "./push.js";
import { Tabs } from "./tabs.js";
import { VERSION } from "./version.js";
import { channelInfo } from "./wire.js";

const FRIENDS = {
  friend_request: "requested",
  friend_request_sent: "request-sent",
  friend_added: "added",
  friend_removed: "removed",
  blocked: "blocked",
  unblocked: "unblocked",
};

const ENDED = {
  "logged-out": "nobody is logged in",
  revoked: "this device was logged out",
  replaced: "the same login is in use elsewhere",
  refused: "the server will not have this client",
};

/** Such as "Chrome on Linux". */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox" : /Chrom/.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "Browser";
  const system = /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(agent)?.[0]?.replace("Mac OS X", "Mac");
  return system ? `${browser} on ${system}` : browser;
}

export class Client extends TypedEventTarget {
  session = null;
  link = Object.freeze({ state: "connecting" });
  storage = Object.freeze({ kind: "persistent", reason: null });
  outboxSize = 0;
  channels = [];
  channelsComplete = false;
  users = new Users(this);
  friends = new Friends(this);
  presence = new PresenceBook(this);
  devices = new Devices(this);
  me = new Me(this);
  push = new Push(this);
  tabs;
  #known = new Map();
  #rows = new Map();
  #sendings = new Map();
  #wasOnline = false;
  #hello = null;
  #listeners = new AbortController();

  static async open(options = {}) {
    if (typeof WebAssembly !== "object") throw new ClientError("unsupported", "this browser lacks WebAssembly");
    const client = new Client(options);
    const opened = client.tabs.open().then(() => client.#hello);
    try {
      await abortable(opened, options.signal);
    } catch (error) {
      client.close();
      throw error instanceof SudaError || options.signal?.aborted ? error : new ClientError("unsupported", `the client could not start: ${error?.message ?? error}`, { cause: error });
    }
    return client;
  }

  constructor(options) {
    super();
    const server = new URL(options.server ?? globalThis.location.href);
    const wasm = options.wasm instanceof URL ? options.wasm.href : options.wasm;
    const settings = {
      server: server.origin,
      profile: options.profile ?? "",
      storage: options.storage ?? "persistent",
      transports: options.transports ?? ["webtransport", "websocket"],
      clientName: options.clientName ?? `suda-js/${VERSION}`,
      wasm,
    };
    this.tabs = new Tabs(settings, (message) => this.#heard(message), () => this.#newHost());
    const visible = () => document.visibilityState === "visible";
    document.addEventListener("visibilitychange", () => this.tabs.call("visible", visible()).catch(() => {}), { signal: this.#listeners.signal });
  }

  #newHost() {
    this.#hello = this.tabs.call("hello", document.visibilityState === "visible");
    this.#hello.catch(() => {});
    for (const channel of this.#known.values()) channel.reopen();
  }

  // ---- what the host says

  #heard(message) {
    switch (message.push) {
      case "state":
        return this.#state(message);
      case "channels":
        return this.#channelList(message);
      case "update":
        return this.#view(message.view)?.update(message.update, message.failed);
      case "entries":
        return this.#view(message.view)?.came(message.entries, message.missed);
      case "around":
        return this.#known.get(message.channel)?.setAround(message.marks, message.typing);
      case "outbox":
        this.outboxSize = message.size;
        return;
      case "sent":
        return this.#sent(message);
      case "gone":
        this.#rows.delete(message.channel);
        this.#known.get(message.channel)?.gone(new ServerError("forbidden", "not in this channel any more"));
        return emit(this, "channelgone", { channelId: message.channel });
      case "presence":
        for (const changed of this.presence.take(message.users)) emit(this, "presence", changed);
        return;
      case "user":
        return this.#userEvent(message.event);
      case "notify":
        return emit(this, "notify", message.notice);
    }
  }

  #view(key) {
    for (const channel of this.#known.values()) {
      const timeline = channel.view(key);
      if (timeline) return timeline;
    }
    return undefined;
  }

  #state({ session, status, onLine, storage }) {
    const other = session?.userId !== this.session?.userId || session?.deviceId !== this.session?.deviceId;
    if (other) {
      this.session = session && Object.freeze(session);
      this.#wasOnline = false;
      this.users.forget();
      this.presence.forget();
    }
    const link = this.#linkState(status, onLine);
    const moved = JSON.stringify(link) !== JSON.stringify(this.link);
    if (moved) this.link = Object.freeze(link);
    const stored = storage.kind !== this.storage.kind || storage.reason !== this.storage.reason;
    if (stored) this.storage = Object.freeze(storage);
    // All is as it is now when the first listener hears of it.
    if (other) emit(this, "session", this.session);
    if (moved) emit(this, "link", this.link);
    if (stored) emit(this, "storage", this.storage);
  }

  #linkState(status, onLine) {
    if (status.s === "online") {
      this.#wasOnline = true;
      return { state: "online", transport: status.kind, node: status.node };
    }
    if (status.s === "stopped") {
      const reason = status.why;
      return { state: "ended", reason, message: status.message ?? ENDED[reason] ?? reason };
    }
    if (!onLine) return { state: "offline" };
    if (status.s === "waiting") return { state: "reconnecting", nextAttemptAt: status.until_ms, stalled: false };
    if (status.s === "stalled") return { state: "reconnecting", nextAttemptAt: null, stalled: true };
    return this.#wasOnline ? { state: "reconnecting", nextAttemptAt: null, stalled: false } : { state: "connecting" };
  }

  #channelList({ list, complete, outbox }) {
    this.outboxSize = outbox;
    this.channelsComplete = complete;
    const rows = new Map();
    for (const row of JSON.parse(list)) {
      const json = JSON.stringify(row);
      const old = this.#rows.get(row.channel);
      rows.set(row.channel, old?.json === json ? old : { json, info: channelInfo(row) });
    }
    this.#rows = rows;
    this.channels = Array.from(rows.values(), ({ info }) => info);
    for (const [id, { info }] of rows) this.#known.get(id)?.setInfo(info);
    emit(this, "channels", this.channels);
  }

  #sent({ channel, id, seq, at_ms: atMs, error, discarded }) {
    const sending = this.#sendings.get(id);
    this.#sendings.delete(id);
    if (!error) return sending?.acked({ seq, atMs });
    const why = errorFrom(error);
    sending?.failed(why);
    if (channel && !discarded) emit(this, "sendfailed", { channelId: channel, clientMsgId: id, error: why });
  }

  #userEvent(event) {
    const [name, what] = Object.entries(event)[0];
    if (FRIENDS[name]) emit(this, "friends", { userId: what.user, change: FRIENDS[name] });
    else if (name.startsWith("device_")) emit(this, "devices", null);
    else if (name === "profile_changed") emit(this, "profile", null);
  }

  // ---- for the parts of the client

  get userId() {
    return this.session?.userId;
  }

  http(options, method, path, body) {
    return abortable(this.tabs.call("http", method, path, body), options?.signal);
  }

  /** All pages of a list. */
  async pages(options, path, name) {
    const rows = [];
    for (let next = null; ; ) {
      const after = next === null ? "" : `${path.includes("?") ? "&" : "?"}after=${next}`;
      const page = await this.http(options, "GET", path + after);
      rows.push(...page[name]);
      if (page.next === null) return rows;
      next = page.next;
    }
  }

  sending(channelId, clientMsgId, asked) {
    const client = this;
    let state = null;
    let settle;
    const acknowledged = new Promise((resolve, reject) => (settle = { resolve, reject }));
    acknowledged.catch(() => {});
    const acked = (ack) => {
      state = "sent";
      settle.resolve(ack);
    };
    const failed = (error) => {
      state = "failed";
      settle.reject(error);
    };
    const before = this.#sendings.get(clientMsgId);
    this.#sendings.set(clientMsgId, {
      acked: (ack) => (before?.acked(ack), acked(ack)),
      failed: (error) => (before?.failed(error), failed(error)),
    });
    asked.catch((error) => {
      this.#sendings.delete(clientMsgId);
      failed(error);
      emit(this, "sendfailed", { channelId, clientMsgId, error });
    });
    return {
      clientMsgId,
      channelId,
      acknowledged,
      get state() {
        return state ?? (client.link.state === "online" ? "sending" : "waiting");
      },
    };
  }

  // ---- the session

  async serverInfo({ signal } = {}) {
    const { version, region, sign_up: signUp, web_push_key: webPushKey } = await abortable(this.tabs.call("info"), signal);
    return { version, region, signUp, webPushKey: webPushKey ?? null };
  }

  signUp({ handle, password, displayName, deviceName: name }, { signal } = {}) {
    const body = { handle, password, display_name: displayName ?? "", device: { name: name ?? deviceName(), platform: "web" } };
    return abortable(this.tabs.call("login", "accounts", body), signal);
  }

  logIn(handle, password, { deviceName: name, signal } = {}) {
    const body = { handle, password, device: { name: name ?? deviceName(), platform: "web" } };
    return abortable(this.tabs.call("login", "login", body), signal);
  }

  async logOut() {
    await this.tabs.call("logout");
  }

  async changePassword(oldPassword, newPassword, { signal } = {}) {
    await abortable(this.tabs.call("password", oldPassword, newPassword), signal);
  }

  async deleteAccount(password, { signal } = {}) {
    await abortable(this.tabs.call("logout", "account", { password }), signal);
  }

  async exportAccount(options) {
    return new Blob([await this.http(options, "GET", "account/export")], { type: "application/x-ndjson" });
  }

  reconnect() {
    this.tabs.call("reconnect").catch(() => {});
  }

  async close() {
    if (this.#listeners.signal.aborted) return;
    this.#listeners.abort();
    for (const channel of this.#known.values()) channel.gone(new ClientError("closed", "the client was closed"));
    const error = new ClientError("closed", "the client was closed");
    for (const sending of this.#sendings.values()) sending.failed(error);
    this.#sendings.clear();
    await this.tabs.close();
    this.link = Object.freeze({ state: "ended", reason: "closed", message: "the client was closed" });
    emit(this, "link", this.link);
  }

  // ---- channels

  get unreadTotal() {
    return this.channels.reduce((sum, info) => (info.muted ? sum : sum + info.unread), 0);
  }

  channel(id) {
    let channel = this.#known.get(id);
    if (!channel) {
      this.#known.set(id, (channel = new Channel(id, this)));
      channel.info = this.#rows.get(id)?.info ?? null;
    }
    return channel;
  }

  async #made(options, method, path, body) {
    return this.channel(await abortable(this.tabs.call("channel", method, path, body), options?.signal));
  }

  openDirect(user, options) {
    return this.#made(options, "PUT", `direct/${user}`);
  }

  createChannel({ kind = "group", title, picture = null, members = [] }, options) {
    return this.#made(options, "POST", "channels", { kind, title, picture, members: [...members], request: uuid() });
  }

  async lookAtInvite(code, options) {
    const row = await this.http(options, "GET", `invites/${encodeURIComponent(code)}`);
    return { channelId: row.channel, kind: row.kind, title: row.title, picture: row.picture, memberCount: row.members };
  }

  join(code, options) {
    return this.#made(options, "POST", `invites/${encodeURIComponent(code)}/join`);
  }
}
