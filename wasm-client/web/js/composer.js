// Where one writes: a draft that is kept, answers and edits, mentions, and keys that do not get in the way of an input method.

import { Part, define, h, replace, touches } from "./dom.js";
import { drafts } from "./drafts.js";
import { icon } from "./icons.js";
import { Mentions } from "./mentions.js";
import { name } from "./people.js";
import { me } from "./session.js";
import { t } from "./i18n.js";

const CHARS_MAX = 100_000;
/** How long typing rests before the draft is written down. */
const KEEP_AFTER_MS = 300;

class Composer extends Part {
  #box = h("textarea", { rows: "1", "aria-label": t("composer.write"), placeholder: t("composer.write"), autocomplete: "off", dir: "auto", enterkeyhint: "enter" });
  #about = h("div.about", { hidden: true });
  #button = h("button.send", { type: "submit", "aria-label": t("composer.send"), title: t("composer.send") }, icon("plane"));
  #trouble = h("p.trouble", { role: "alert", hidden: true });
  #form = h("form", { onsubmit: (event) => (event.preventDefault(), this.#send()) }, this.#box, this.#button);
  #closed = h("p.closed", { hidden: true }, t("composer.closed"));
  #replyTo = null;
  #editing = null;
  #timer = 0;
  #mentions;

  begin() {
    this.append(this.#about, this.#trouble, this.#form, this.#closed);
    this.#mentions = new Mentions(this.#box, this.channel, this.#form);
    this.listen(this.#box, "input", () => this.#typed());
    this.listen(this.#box, "keydown", (event) => this.#key(event));
    this.listen(window, "pagehide", () => this.#keep());
    this.listen(document, "visibilitychange", () => this.#keep());
    const draft = drafts.get(this.channel.id);
    this.#box.value = draft?.text ?? "";
    if (draft?.replyTo) this.channel.message(draft.replyTo).then((item) => item && this.#replyTo === null && this.reply(item, { focus: false }), () => {});
    this.#sized();
    // On phones the keyboard would cover what one has come to read.
    if (!touches()) this.#box.focus();
  }

  end() {
    this.#keep();
  }

  allow(may) {
    this.#form.hidden = !may;
    this.#closed.hidden = may;
  }

  // ---- writing

  #typed() {
    this.#sized();
    if (this.#box.value && !this.#editing) this.channel.setTyping();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), KEEP_AFTER_MS);
    this.#trouble.hidden = true;
  }

  #sized() {
    this.#button.disabled = this.#box.value.trim() === "";
    if (CSS.supports("field-sizing", "content")) return;
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }

  #keep() {
    clearTimeout(this.#timer);
    // What is being edited is no draft.
    if (!this.#editing && me()) drafts.set(this.channel.id, { text: this.#box.value, replyTo: this.#replyTo?.seq ?? null });
  }

  #key(event) {
    // Keys of an input method are its own: Enter ends a syllable, it sends nothing.
    if (event.isComposing || event.keyCode === 229 || this.#mentions.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && !touches()) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape" && (this.#editing || this.#replyTo)) {
      event.preventDefault();
      this.#drop();
    } else if (event.key === "ArrowUp" && this.#box.value === "" && !this.#editing) {
      if (this.conversation.editLast()) event.preventDefault();
    }
  }

  #send() {
    const text = this.#box.value.trim();
    if (!text) return;
    if ([...text].length > CHARS_MAX) return this.#say(t("error.too_large"));
    const mentions = this.#mentions.in(text, this.#editing?.mentions);
    try {
      if (this.#editing) {
        if (text !== this.#editing.text) this.channel.edit(this.#editing.seq, text, { mentions });
      } else this.channel.send(text, { replyTo: this.#replyTo?.seq, mentions });
    } catch (error) {
      return this.#say(t(t.has(`error.${error.code}`) ? `error.${error.code}` : "error.other"));
    }
    this.channel.setTyping(false);
    const edited = this.#editing;
    this.#drop();
    if (!edited) {
      this.#box.value = "";
      this.conversation.sent();
    }
    this.#sized();
    this.#keep();
    this.#box.focus();
  }

  #say(text) {
    this.#trouble.hidden = false;
    this.#trouble.textContent = text;
  }

  // ---- answering and editing

  reply(item, { focus = true } = {}) {
    if (this.#editing) this.#drop();
    this.#replyTo = item;
    this.#aboutIt(item, t("composer.replying"), name(item.by));
    if (focus) this.#box.focus();
    this.#keep();
  }

  edit(item) {
    this.#keep();
    this.#replyTo = null;
    this.#editing = item;
    this.#box.value = item.text;
    this.#aboutIt(item, t("composer.editing"), null);
    this.#sized();
    this.#box.focus();
    this.#box.setSelectionRange(item.text.length, item.text.length);
  }

  #aboutIt(item, what, who) {
    this.#about.hidden = false;
    replace(
      this.#about,
      icon(this.#editing ? "edit" : "reply"),
      h("p", {}, h("b", {}, what, who && " ", who), h("span", {}, item.text?.slice(0, 200) ?? "")),
      h("button.round", { type: "button", "aria-label": t("cancel"), title: t("cancel"), onclick: () => (this.#drop(), this.#box.focus()) }, icon("close")),
    );
  }

  #drop() {
    if (this.#editing) this.#box.value = drafts.get(this.channel.id)?.text ?? "";
    this.#editing = null;
    this.#replyTo = null;
    this.#about.hidden = true;
    this.#sized();
    this.#keep();
  }
}

export const composer = define("suda-composer", Composer);
