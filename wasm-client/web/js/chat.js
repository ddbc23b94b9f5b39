// The screen with the conversations: the list beside the one that is open, or on phones the one or the other.

import { client } from "./session.js";
import { Part, define, h } from "./dom.js";
import { go, goBack, place } from "./app.js";
import { conversation } from "./conversation.js";
import { joinDialog } from "./invite.js";
import { sidebar } from "./sidebar.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

class Chat extends Part {
  #open = null;
  #main = h("section.open", { "aria-label": t("conversation.region"), tabindex: "-1" });

  begin() {
    this.setAttribute("role", "main");
    this.append(sidebar(), this.#main);
    this.#nothing();
    this.listen(client, "channelgone", ({ detail }) => detail.channelId === this.#open && go("/", { instead: true }));
    this.listen(document, "keydown", (event) => this.#key(event));
  }

  show({ channel, invite }) {
    if (invite) {
      go("/", { instead: true });
      return joinDialog(invite);
    }
    this.dataset.pane = channel ? "conversation" : "list";
    if (channel === undefined) {
      this.#open = null;
      return this.#nothing();
    }
    if (channel === this.#open) return;
    this.#open = channel;
    this.#main.replaceChildren(conversation({ channelId: channel }));
    client.dispatchEvent(new CustomEvent("suda:place"));
  }

  #nothing() {
    this.#main.replaceChildren(h("div.nothing", {}, icon("chats"), h("p", {}, t("conversation.none"))));
    client.dispatchEvent(new CustomEvent("suda:place"));
  }

  #key(event) {
    if (document.querySelector("dialog[open]")) return;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.querySelector("suda-sidebar input")?.focus();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      const ids = client.channels.map(({ id }) => id);
      const at = ids.indexOf(place().channel);
      const next = ids[at + (event.key === "ArrowDown" ? 1 : -1)] ?? (at < 0 ? ids[0] : undefined);
      if (next) go(`/c/${next}`);
    } else if (event.key === "Escape" && !event.defaultPrevented && place().channel && matchMedia("(max-width: 720px)").matches) {
      goBack();
    }
  }
}

export const chatScreen = define("suda-chat", Chat);
