// A message's text as nodes: addresses become links, mentions stand out. Everything is text; nothing is ever parsed as markup.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { me } from "./session.js";
import { person } from "./people.js";

/** Longer ones are shown in part, until somebody wants to read them. */
const SHOWN_CHARS = 1_500;
const SHOWN_LINES = 24;

const PARTS = /(https?:\/\/[^\s<>"']+)|(?<![\w@.])@([a-z0-9._]{2,31}[a-z0-9_])/gi;
/** What ends a sentence is not part of an address. */
const TRAILING = /[.,:;!?)\]}…]+$/;

export function rich(text, mentions = []) {
  const handles = new Map(mentions.map((id) => [person(id)?.handle?.toLowerCase(), id]));
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(PARTS)) {
    const node = match[1] ? link(match[1]) : mention(match[0], handles.get(match[2].toLowerCase()));
    if (!node) continue;
    nodes.push(text.slice(from, match.index), node);
    from = match.index + (match[1] ? node.textContent.length : match[0].length);
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

function link(address) {
  const shown = address.replace(TRAILING, (end) => (end.startsWith(")") && address.includes("(") ? ")" : ""));
  if (!URL.canParse(shown)) return null;
  return h("a", { href: new URL(shown).href, target: "_blank", rel: "noopener noreferrer nofollow" }, shown);
}

const mention = (text, id) => id && h("span.mention", { class: id === me() ? "mention mine" : "mention" }, text);

/** Cut where it is long: with a button that shows the rest. */
export function body(text, mentions, onToggle) {
  const cut = cutOf(text);
  const element = h("div.text", { dir: "auto" });
  if (cut === null) {
    element.append(...rich(text, mentions));
    return element;
  }
  const button = h("button.quiet.small.whole", { type: "button", onclick: () => (draw(true), onToggle?.()) }, t("message.showAll", { count: text.length.toLocaleString(t.language) }));
  const draw = (all) => {
    element.replaceChildren(...rich(all ? text : `${text.slice(0, cut)}…`, mentions), all ? "" : button);
  };
  draw(false);
  return element;
}

function cutOf(text) {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < SHOWN_CHARS; at = text.indexOf("\n", at + 1)) if (++lines === SHOWN_LINES) return at;
  if (text.length <= SHOWN_CHARS + 300) return null;
  const code = text.charCodeAt(SHOWN_CHARS - 1);
  return code >= 0xd800 && code < 0xdc00 ? SHOWN_CHARS - 1 : SHOWN_CHARS;
}
