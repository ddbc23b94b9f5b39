// What was typed and not sent, for each conversation, over reloads and in all tabs.

import { keyed } from "./session.js";
import { forget, read, write } from "./preferences.js";

class Drafts extends EventTarget {
  #key = (channel) => keyed(`draft:${channel}`);

  /** `{text, replyTo}`, or null. */
  get(channel) {
    return read(this.#key(channel));
  }

  /** Its text, for the list. */
  peek(channel) {
    return this.get(channel)?.text?.trim() || "";
  }

  set(channel, draft) {
    const old = this.get(channel);
    const empty = !draft.text && draft.replyTo === null;
    if (empty ? old === null : old?.text === draft.text && old.replyTo === draft.replyTo) return;
    write(this.#key(channel), empty ? null : draft);
    this.dispatchEvent(new CustomEvent("change", { detail: channel }));
  }

  forget() {
    forget(keyed(""));
  }
}

export const drafts = new Drafts();

addEventListener("storage", ({ key }) => key?.includes(":draft:") && drafts.dispatchEvent(new CustomEvent("change", { detail: null })));
