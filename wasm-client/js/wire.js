// From the wire's form of things to that of the API.

import { errorFrom } from "./errors.js";

/** Times beyond what the wire has mean "for ever". */
const FOREVER_MS = 2 ** 53 - 1;

export function channelInfo(row) {
  const mute = row.mute === "mentions_only" ? "mentions" : typeof row.mute === "object" ? { until: row.mute.until >= FOREVER_MS ? Infinity : row.mute.until } : "off";
  return Object.freeze({
    id: row.channel,
    kind: row.kind,
    title: row.title,
    picture: row.picture,
    peer: row.peer,
    role: row.role,
    memberCount: row.members,
    head: row.head,
    lastAtMs: row.last_at_ms,
    read: row.read,
    unread: row.unread,
    mute,
    get muted() {
      return mute === "mentions" || (typeof mute === "object" && mute.until > Date.now());
    },
    preview: row.preview && Object.freeze({ seq: row.preview.seq, by: row.preview.by, atMs: row.preview.at_ms, text: row.preview.text }),
  });
}

export const wireMute = (mute) =>
  mute === "mentions" ? "mentions_only" : mute === "off" ? "off" : { until: mute.until === Infinity ? FOREVER_MS : Math.min(mute.until, FOREVER_MS) };

export const keyOf = (by, id, seq) => (id ? `${by}:${id}` : `s${seq}`);

/** An entry of a log as an item; null for what is shown in the message that it changes. */
export function entryItem({ seq, at_ms, by, client_msg_id: id, what }, me) {
  return shownItem({ seq, id, by, at_ms, what, delivery: "sent", changing: false }, me);
}

/** What the core shows as an item. */
export function shownItem({ seq, id, by, at_ms: atMs, what, delivery, changing }, me) {
  const base = { key: keyOf(by, id, seq), seq, by, atMs };
  if (what.message) return messageItem(base, id, what.message, delivery, changing, me);
  if (what.member) {
    const { user: userId, change } = what.member;
    const [name, role] = typeof change === "string" ? [change, null] : Object.entries(change)[0];
    return Object.freeze({ ...base, type: "member", userId, change: name, role });
  }
  if (what.title) return Object.freeze({ ...base, type: "title", title: what.title.title });
  if (what.picture) return Object.freeze({ ...base, type: "picture", picture: what.picture.media });
  return what.edit || what.delete || what.react ? null : Object.freeze({ ...base, type: "unknown" });
}

function messageItem(base, id, message, delivery, changing, me, error = null) {
  const { body, reply_to: replyTo, thread, mentions = [], attachments = [], edited, reactions = [] } = message;
  return Object.freeze({
    ...base,
    type: "message",
    clientMsgId: id ?? null,
    delivery,
    error,
    own: base.by === me,
    text: body.text ?? null,
    opaque: body.opaque ? { scheme: body.opaque.scheme, bytes: Uint8Array.from(atob(body.opaque.bytes), (c) => c.charCodeAt(0)) } : null,
    deleted: body.erased ? { by: body.erased.by } : null,
    replyTo: replyTo ?? null,
    thread: thread ?? null,
    mentions,
    mentionsMe: mentions.includes(me),
    attachments: attachments.map((a) => ({ media: a.media, name: a.name, mediaType: a.media_type, bytes: a.bytes, size: a.size_px, preview: a.preview })),
    edited: edited ? { atMs: edited.at_ms, count: edited.count } : null,
    reactions: reactions.map(({ emoji, count, users }) => ({ emoji, count, users, mine: users.includes(me) })),
    changing,
  });
}

/** A send that was refused for good. */
export function failedItem({ id, op, error, at_ms: atMs }, me) {
  const base = { key: keyOf(me, id, null), seq: null, by: me, atMs };
  return messageItem(base, id, op.message, "failed", false, me, errorFrom(error));
}

export const user = (row) =>
  Object.freeze({
    id: row.user,
    handle: row.handle,
    displayName: row.display_name,
    bio: row.bio,
    statusText: row.status_text,
    picture: row.picture,
    gone: row.gone,
  });

export const presence = (row) => Object.freeze({ userId: row.user, status: row.status, lastActiveAtMs: row.last_active_at_ms || null });

/** camelCase to snake_case, for what is sent as it is named. Undefined is left out. */
export function snake(object) {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), value]));
}

/** The other way. */
export const camel = (object) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key.replace(/_([a-z])/g, (_, c) => c.toUpperCase()), value]));
