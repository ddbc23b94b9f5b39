// "@" while writing: the members whose names begin so.

import { h, replace } from "./dom.js";
import { client, me } from "./session.js";
import { avatar, learn, person } from "./people.js";
import { t } from "./i18n.js";

const SHOWN_MAX = 6;
const BEFORE = /(?:^|[\s(])@([^\s@]{0,32})$/;
const IN_TEXT = /(?<![\w@.])@([a-z0-9._]{2,31}[a-z0-9_])/gi;

export class Mentions {
  #box;
  #channel;
  #list = h("ul.mentions", { role: "listbox", id: "mentions", "aria-label": t("composer.mention"), hidden: true });
  #members = null;
  #found = [];
  #at = 0;

  constructor(box, channel, form) {
    [this.#box, this.#channel] = [box, channel];
    form.prepend(this.#list);
    box.setAttribute("aria-autocomplete", "list");
    box.addEventListener("input", () => this.#look());
    box.addEventListener("blur", () => this.#close());
  }

  /** Who is mentioned in a text. */
  in(text, before = []) {
    const known = before.map((id) => person(id)).filter(Boolean);
    const handles = new Map([...known, ...(this.#members ?? [])].map(({ id, handle }) => [handle, id]));
    const found = Array.from(text.matchAll(IN_TEXT), ([, handle]) => handles.get(handle.toLowerCase()));
    return [...new Set(found)].filter(Boolean);
  }

  async #load() {
    if (this.#members) return;
    this.#members = [];
    try {
      const rows = await this.#channel.members();
      this.#members = await client.users.getMany(rows.map(({ userId }) => userId).filter((id) => id !== me()));
      learn(this.#members);
      this.#look();
    } catch {
      this.#members = null;
    }
  }

  #word() {
    const { value, selectionStart } = this.#box;
    return BEFORE.exec(value.slice(Math.max(0, selectionStart - 40), selectionStart))?.[1].toLowerCase();
  }

  async #look() {
    const word = this.#word();
    if (word === undefined) return this.#close();
    this.#load();
    const begins = (text) => text.toLowerCase().startsWith(word);
    const found = (this.#members ?? []).filter(({ handle, displayName }) => handle && (begins(handle) || displayName.split(/\s+/).some(begins)));
    this.#found = found.slice(0, SHOWN_MAX);
    this.#at = 0;
    this.#draw();
  }

  #draw() {
    if (this.#found.length === 0) return this.#close();
    this.#list.hidden = false;
    replace(
      this.#list,
      this.#found.map((user, i) =>
        h(
          "li",
          { role: "option", id: `mention-${i}`, "aria-selected": String(i === this.#at), onmousedown: (event) => (event.preventDefault(), this.#take(user)) },
          avatar(user.id),
          h("strong", {}, user.displayName || user.handle),
          h("span", {}, `@${user.handle}`),
        ),
      ),
    );
    this.#box.setAttribute("aria-controls", "mentions");
    this.#box.setAttribute("aria-activedescendant", `mention-${this.#at}`);
  }

  #close() {
    this.#list.hidden = true;
    this.#found = [];
    this.#box.removeAttribute("aria-activedescendant");
    this.#box.removeAttribute("aria-controls");
  }

  /** True if the key was for the list. */
  key(event) {
    if (this.#list.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.#at = (this.#at + step + this.#found.length) % this.#found.length;
      this.#draw();
    } else if (event.key === "Enter" || event.key === "Tab") this.#take(this.#found[this.#at]);
    else if (event.key === "Escape") this.#close();
    else return false;
    event.preventDefault();
    return true;
  }

  #take({ handle }) {
    const { value, selectionStart } = this.#box;
    const from = selectionStart - this.#word().length - 1;
    this.#box.setRangeText(`@${handle} `, from, selectionStart, "end");
    this.#box.dispatchEvent(new InputEvent("input", { bubbles: true }));
    this.#close();
  }
}
