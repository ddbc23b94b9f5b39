// Who people are, for showing: names are asked for once, and kept, so that they are there with the history after a reload.

import { Part, define, framed, h } from "./dom.js";
import { t } from "./i18n.js";
import { keyed, client, me } from "./session.js";
import { read, write } from "./preferences.js";
import { ago } from "./time.js";

const KEPT_MAX = 300;
const ASKED_AT_ONCE_MAX = 200;

/** Tells `user` and `presence`, each with the user's id. */
export const changes = new EventTarget();

let kept = new Map();
let keptFor = null;
const wanted = new Set();

function cache() {
  const key = keyed("names");
  if (keptFor !== key) [kept, keptFor] = [new Map(read(key, [])), key];
  return kept;
}

/** What is known of a user, at once: `{displayName, handle, gone}`. If nothing is, it is asked for. */
export function person(id) {
  const user = client.users.peek(id);
  if (user) return user;
  wanted.add(id);
  look();
  const row = cache().get(id);
  return row ? { id, displayName: row[0], handle: row[1], gone: false } : undefined;
}

/** What to call them. */
export function nameOf(id) {
  const user = person(id);
  if (!user) return "…";
  if (user.gone || !user.handle) return t("person.gone");
  return user.displayName || user.handle;
}

const look = framed(async () => {
  const ids = [...wanted];
  wanted.clear();
  if (!ids.length || !me()) return;
  try {
    learn(await client.users.getMany(ids.slice(0, ASKED_AT_ONCE_MAX)));
  } catch {
    // No network; they are asked for again when the link is there.
    missed = ids;
  }
});

let missed = [];

/** Users that came with something else, or are asked for. */
export function learn(users) {
  const names = cache();
  let fresh = false;
  for (const { id, displayName, handle } of users) {
    const old = names.get(id);
    if (old?.[0] !== displayName || old?.[1] !== handle) fresh = true;
    names.delete(id);
    names.set(id, [displayName, handle]);
    changes.dispatchEvent(new CustomEvent("user", { detail: id }));
  }
  if (fresh) write(keyed("names"), [...names].slice(-KEPT_MAX));
}

export function listen() {
  client.addEventListener("presence", ({ detail }) => changes.dispatchEvent(new CustomEvent("presence", { detail: detail.userId })));
  client.addEventListener("link", ({ detail }) => {
    asked.clear();
    if (detail.state !== "online") return;
    for (const id of missed.splice(0)) person(id);
    changes.dispatchEvent(new CustomEvent("presence", { detail: null }));
  });
}

/** Refers to presence only while the link can tell. */
export function statusOf(id) {
  if (client.link.state !== "online") return "unknown";
  const known = client.presence.peek(id);
  if (!known && !asked.has(id)) ask(id);
  return known?.status ?? "offline";
}

// Changes are told of by themselves; how it was before, for instance with whoever has just begun a conversation, is asked for
// once a link.
const asked = new Set();
const unsure = new Set();

function ask(id) {
  asked.add(id);
  unsure.add(id);
  askAll();
}

const askAll = framed(async () => {
  const ids = [...unsure].slice(0, ASKED_AT_ONCE_MAX);
  for (const id of ids) unsure.delete(id);
  if (!ids.length || !me()) return;
  // If it fails the link has failed, and with the next one they are asked for again.
  const known = await client.presence.ask(ids).catch(() => []);
  for (const { userId } of known.filter(Boolean)) changes.dispatchEvent(new CustomEvent("presence", { detail: userId }));
  if (unsure.size) askAll();
});

/** "Online", or when they were. */
export function seen(id) {
  const presence = client.presence.peek(id);
  if (!presence || client.link.state !== "online") return "";
  if (presence.status === "online") return t("presence.online");
  if (presence.status === "idle") return t("presence.idle");
  return presence.lastActiveAtMs ? t("presence.seen", { ago: ago(presence.lastActiveAtMs) }) : t("presence.offline");
}

class Name extends Part {
  begin() {
    this.#draw();
    this.listen(changes, "user", ({ detail }) => detail === this.user && this.#draw());
  }
  #draw() {
    const text = nameOf(this.user);
    if (this.textContent !== text) this.textContent = text;
  }
}
const makeName = define("suda-name", Name);

/** A user's name, which is right as soon as it is known. */
export const name = (user) => makeName({ user });

const HUES = 12;
/** Ids are made of the time, so their lowest bits say little. */
const hueOf = (id) => Number((BigInt.asUintN(64, BigInt(id) * 0x9e3779b97f4a7c15n) >> 40n) % BigInt(HUES));
const initial = (text) => [...text.trim()][0]?.toUpperCase() ?? "?";

class Avatar extends Part {
  begin() {
    this.setAttribute("aria-hidden", "true");
    this.dataset.hue = hueOf(this.user ?? this.channel);
    this.#draw();
    this.listen(changes, "user", ({ detail }) => detail === this.user && this.#draw());
    if (this.dot) this.listen(changes, "presence", ({ detail }) => (detail === null || detail === this.user) && this.#draw());
  }
  #draw() {
    const text = this.user ? nameOf(this.user) : this.title_;
    const letter = h("span", {}, initial(text === "…" ? " " : text));
    this.replaceChildren(letter);
    if (this.dot && this.user) this.append(h("i.dot", { "data-status": statusOf(this.user) }));
  }
}
const makeAvatar = define("suda-avatar", Avatar);

export const avatar = (user, { dot = false } = {}) => makeAvatar({ user, dot });

/** Of a conversation: the other one's, or its first letter. */
export function channelAvatar(info, options = { dot: true }) {
  return info.peer ? avatar(info.peer, options) : makeAvatar({ channel: info.id, title_: info.title });
}

/** What a conversation is called. */
export function titleOf(info) {
  if (info.kind !== "direct") return info.title;
  return info.peer === me() ? t("conversation.notes") : nameOf(info.peer);
}
