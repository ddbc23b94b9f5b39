// One row of a conversation: a message, or a line about its members or title.

import { h } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { icon } from "./icons.js";
import { me } from "./session.js";
import { avatar, name, nameOf } from "./people.js";
import { body } from "./rich.js";
import { clock, dayName, whole } from "./time.js";

/**
 * `context`: what a row depends on beside its item: `{day, first, last, unread, receipt, quote, group}`. `act`: what its buttons
 * do, each with the item.
 */
export function row(item, context, act) {
  const element = h("div.item", { role: "article", tabindex: "-1", "data-key": item.key, "data-seq": item.seq });
  if (context.day) element.append(h("div.day", {}, h("span", {}, dayName(item.atMs))));
  if (context.unread) element.append(h("div.new", {}, h("span", {}, t("message.new"))));
  if (item.type === "message") message(element, item, context, act);
  else {
    const text = note(item);
    element.append(h("div.note", {}, h("span", {}, text)));
  }
  return element;
}

function message(element, item, context, act) {
  element.classList.add(item.own ? "own" : "other");
  if (context.first) element.classList.add("first");
  if (context.last) element.classList.add("last");
  if (item.mentionsMe) element.classList.add("mentioned");
  const who = context.group && !item.own;
  const bubble = h(
    "div.bubble",
    {},
    item.replyTo !== null && !item.deleted && quote(item, context, act),
    content(item, act),
    h(
      "span.meta",
      {},
      item.edited && !item.deleted && h("span", { title: whole(item.edited.atMs) }, t("message.edited")),
      h("time", { datetime: new Date(item.atMs).toISOString(), title: whole(item.atMs) }, clock(item.atMs)),
      item.own && tick(item, context.receipt),
    ),
  );
  if (item.deleted) bubble.classList.add("deleted");
  if (onlyEmoji(item)) bubble.classList.add("huge");
  element.append(
    h(
      "div.said",
      {},
      who && (context.first ? avatar(item.by) : h("span.avatar-space", {})),
      h(
        "div.column",
        {},
        who && context.first ? h("div.by", {}, name(item.by)) : h("span.unseen", {}, item.own ? t("you") : name(item.by), ": "),
        bubble,
        item.reactions.length > 0 && reactions(item, act),
        item.delivery === "failed" && failed(item, act),
      ),
    ),
  );
}

function content(item, act) {
  if (item.deleted) return h("div.text", {}, t(item.deleted.by === item.by ? "message.deleted" : "message.removed"));
  if (item.text === null) return h("div.text", {}, h("em", {}, t("message.opaque")));
  return body(item.text, item.mentions, act.resized);
}

/** Up to three emoji and nothing else are shown large. */
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F?)(?:\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic}\uFE0F?)*$/u;
const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" });
function onlyEmoji({ text }) {
  if (!text || text.length > 40) return false;
  const parts = [...segments.segment(text.trim())];
  return parts.length <= 3 && parts.every(({ segment }) => EMOJI.test(segment));
}

function quote(item, { quote: quoted }, act) {
  const said = quoted === undefined ? "…" : quoted === null || quoted.deleted ? t("message.deleted") : (quoted.text ?? t("message.opaque")).slice(0, 200);
  return h(
    "button.quote",
    { type: "button", onclick: () => act.jump(item.replyTo), "aria-label": t("message.toQuoted") },
    h("b", {}, quoted ? (quoted.by === me() ? t("you") : name(quoted.by)) : ""),
    h("span", {}, said),
  );
}

function tick(item, receipt) {
  const state = item.delivery === "sent" && !item.changing ? receipt : item.delivery === "failed" ? "failed" : "waiting";
  const sign = { waiting: "clock", sent: "check", delivered: "checks", read: "checks", failed: "failed" }[state];
  const label = t(`receipt.${state}`);
  return h("span.tick", { "data-state": state, title: label }, icon(sign), h("span.unseen", {}, label));
}

function reactions(item, act) {
  return h(
    "div.reactions",
    {},
    item.reactions.map(({ emoji, count, users, mine }) => {
      const who = users.map((id) => (id === me() ? t("you") : nameOf(id))).join(", ");
      return h(
        "button.reaction",
        { type: "button", "aria-pressed": String(mine), title: who, "aria-label": t("message.reaction", { emoji, count, who }), onclick: () => act.react(item, emoji, !mine) },
        h("span", {}, emoji),
        h("span", {}, count),
      );
    }),
  );
}

function failed(item, act) {
  return h(
    "div.failed",
    { role: "alert" },
    h("span", {}, `${t("message.failed")} ${errorText(item.error)}`),
    h("button.small", { type: "button", onclick: () => act.retry(item) }, t("message.retry")),
    h("button.small", { type: "button", onclick: () => act.discard(item) }, t("message.discard")),
  );
}

/** A line about what happened, as text. */
export function note(item) {
  const by = item.by === me() ? t("you") : nameOf(item.by);
  if (item.type === "title") return t("note.title", { by, title: item.title });
  if (item.type === "picture") return t("note.picture", { by });
  if (item.type !== "member") return "";
  const who = item.userId === me() ? t("you") : nameOf(item.userId);
  const alone = item.by === item.userId;
  if (item.change === "joined") return t(alone ? "note.joined" : "note.added", { by, who });
  if (item.change === "role") return t("note.role", { by, who, role: t(`role.${item.role}`) });
  return t(`note.${item.change}`, { by, who });
}
