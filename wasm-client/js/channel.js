// One conversation.

import { ServerError, errorFrom } from "./errors.js";
import { TypedEventTarget, abortable, emit, uuid } from "./events.js";
import { Timeline } from "./timeline.js";
import { entryItem, wireMute } from "./wire.js";

const TEXT_CHARS_MAX = 100_000;
const OUTBOX_MAX = 1_000;

export class Channel extends TypedEventTarget {
  id;
  info = null;
  typing = [];
  receipts = [];
  #client;
  #timelines = new Set();

  constructor(id, client) {
    super();
    this.id = id;
    this.#client = client;
  }

  // ---- what the client hears

  setInfo(info) {
    if (info === this.info) return;
    this.info = info;
    emit(this, "info", info);
  }

  setAround(marks, typing) {
    const me = this.#client.userId;
    const receipts = JSON.parse(marks).filter(({ user }) => user !== me).map(({ user, delivered, read }) => Object.freeze({ userId: user, delivered, read }));
    if (JSON.stringify(receipts) !== JSON.stringify(this.receipts)) {
      this.receipts = receipts;
      emit(this, "receipts", receipts);
    }
    if (typing !== JSON.stringify(this.typing)) {
      this.typing = JSON.parse(typing);
      emit(this, "typing", this.typing);
    }
  }

  view(key) {
    for (const timeline of this.#timelines) if (timeline.has(key)) return timeline;
    return undefined;
  }

  reopen() {
    for (const timeline of this.#timelines) timeline.reopen();
  }

  gone(error) {
    this.setInfo(null);
    for (const timeline of [...this.#timelines]) timeline.gone(error);
  }

  // ---- looking

  receiptOf(seq) {
    const who = (which) => this.receipts.filter((receipt) => receipt[which] >= seq).map(({ userId }) => userId);
    return { deliveredTo: who("delivered"), readBy: who("read") };
  }

  timeline(options) {
    return this.#look(null, options);
  }

  thread(root, options) {
    return this.#look(root, options);
  }

  #look(root, options) {
    const timeline = new Timeline(this, this.#client.tabs, this.#client.userId, root, options, (over) => this.#timelines.delete(over));
    if (!timeline.closed) this.#timelines.add(timeline);
    return timeline;
  }

  async message(seq, { signal } = {}) {
    const entry = await abortable(this.#client.tabs.call("message", this.id, seq), signal);
    const item = entry && entryItem(entry, this.#client.userId);
    return item?.type === "message" ? item : null;
  }

  // ---- saying

  send(text, { replyTo, mentions = [] } = {}) {
    check(text);
    return this.#send({ message: { body: { text }, reply_to: replyTo ?? null, mentions: [...mentions], attachments: [] } });
  }

  edit(seq, text, { mentions = [] } = {}) {
    check(text);
    return this.#send({ edit: { target: seq, body: { text }, mentions: [...mentions] } });
  }

  delete(seq) {
    return this.#send({ delete: { target: seq } });
  }

  react(seq, emoji, on = true) {
    return this.#send({ react: { target: seq, emoji, on } });
  }

  #send(op) {
    if (this.#client.outboxSize >= OUTBOX_MAX) throw errorFrom({ code: "outbox_full", message: "too many sends wait", retry: "later" });
    const id = uuid();
    return this.#client.sending(this.id, id, this.#client.tabs.call("send", this.id, id, op));
  }

  retry(id) {
    const asked = this.#client.tabs.call("retry", this.id, id).then((found) => {
      if (!found) throw new ServerError("not_found", "no such send has failed");
    });
    return this.#client.sending(this.id, id, asked);
  }

  discard(id) {
    return this.#client.tabs.call("discard", this.id, id);
  }

  markRead(seq = this.info?.head) {
    if (seq) this.#client.tabs.call("read", this.id, seq).catch(() => {});
  }

  setTyping(on = true) {
    this.#client.tabs.call("typing", this.id, on).catch(() => {});
  }

  // ---- the rest is the server's

  #http(options, method, path, body) {
    return this.#client.http(options, method, `channels/${this.id}${path}`, body);
  }

  async setMute(mute, options) {
    await this.#http(options, "PUT", "/mute", { mute: wireMute(mute) });
  }
  async setTitle(title, options) {
    await abortable(this.#client.tabs.call("channel", "PATCH", `channels/${this.id}`, { title }), options?.signal);
  }
  async setPicture(picture, options) {
    await abortable(this.#client.tabs.call("channel", "PATCH", `channels/${this.id}`, { picture }), options?.signal);
  }
  async members(options) {
    const rows = await this.#client.pages(options, `channels/${this.id}/members`, "members");
    return rows.map(({ user, role, joined_at_ms: joinedAtMs }) => ({ userId: user, role, joinedAtMs }));
  }
  async addMembers(users, options) {
    await this.#http(options, "POST", "/members", { users: [...users] });
  }
  async setRole(user, role, options) {
    await this.#http(options, "PUT", `/members/${user}/role`, { role });
  }
  async transfer(user, options) {
    await this.#http(options, "PUT", "/owner", { user });
  }
  async kick(user, options) {
    await this.#http(options, "DELETE", `/members/${user}`);
  }
  async ban(user, options) {
    await this.#http(options, "PUT", `/bans/${user}`);
  }
  async unban(user, options) {
    await this.#http(options, "DELETE", `/bans/${user}`);
  }
  async bans(options) {
    const rows = await this.#client.pages(options, `channels/${this.id}/bans`, "bans");
    return rows.map(({ user, by, at_ms: atMs }) => ({ userId: user, by, atMs }));
  }
  async leave(options) {
    await this.#http(options, "POST", "/leave");
  }
  async deleteChannel(options) {
    await this.#http(options, "DELETE", "");
  }
  async inviteCode(options) {
    return (await this.#http(options, "GET", "/invite")).code;
  }
  async newInviteCode(options) {
    return (await this.#http(options, "POST", "/invite")).code;
  }
  async revokeInviteCode(options) {
    await this.#http(options, "DELETE", "/invite");
  }
}

function check(text) {
  if (text.trim() === "" || text.includes("\0")) throw errorFrom({ code: "invalid", message: "a message needs text, without NUL characters" });
  if (text.length > TEXT_CHARS_MAX) {
    let chars = 0;
    for (const _ of text) chars += 1;
    if (chars > TEXT_CHARS_MAX) throw errorFrom({ code: "too_large", message: `a message has at most ${TEXT_CHARS_MAX} characters` });
  }
}
