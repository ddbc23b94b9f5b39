// How the link is: a line that is always there, and a strip where one reads and writes while there is none.

import { client } from "./session.js";
import { Part, define, h, replace } from "./dom.js";
import { t } from "./i18n.js";

function said(link) {
  switch (link.state) {
    case "online":
      return t("link.online", { transport: link.transport === "webtransport" ? "WebTransport" : "WebSocket" });
    case "offline":
      return t("link.offline");
    case "connecting":
      return t("link.connecting");
    case "ended":
      return t(t.has(`link.${link.reason}`) ? `link.${link.reason}` : "link.ended");
    default: {
      if (link.stalled) return t("link.stalled");
      const seconds = link.nextAttemptAt === null ? 0 : Math.ceil((link.nextAttemptAt - Date.now()) / 1000);
      return seconds > 1 ? t("link.waiting", { seconds }) : t("link.reconnecting");
    }
  }
}

function button(link) {
  const act = (label, onclick) => h("button.small", { type: "button", onclick }, label);
  if (link.state === "reconnecting" && link.nextAttemptAt !== null) return act(t("link.now"), () => client.reconnect());
  if (link.reason === "replaced") return act(t("link.takeBack"), () => client.reconnect());
  if (link.reason === "refused" || link.reason === "crashed") return act(t("link.reload"), () => location.reload());
  return null;
}

class LinkLine extends Part {
  #text = h("span", {});
  #timer = 0;

  begin() {
    if (!this.strip) this.setAttribute("role", "status");
    this.listen(client, "link storage", () => this.#draw());
    this.#draw();
  }

  end() {
    clearTimeout(this.#timer);
  }

  #draw() {
    const { link } = client;
    clearTimeout(this.#timer);
    this.dataset.state = link.state;
    this.dataset.transport = link.transport ?? "";
    if (this.strip) this.hidden = link.state === "online" || link.state === "connecting";
    this.#text.textContent = said(link);
    const memory = client.storage.kind === "memory" && !this.strip && h("span.memory", { title: client.storage.reason ?? "" }, t("link.memory"));
    replace(this, h("i.signal", { "aria-hidden": "true" }), this.#text, memory, button(link));
    // The seconds are counted without being said each time.
    if (link.state === "reconnecting" && link.nextAttemptAt > Date.now()) {
      this.#timer = setTimeout(() => this.#count(), 1000);
    }
  }

  #count() {
    this.#text.textContent = said(client.link);
    this.#timer = setTimeout(() => this.#count(), 1000);
  }
}

const make = define("suda-link", LinkLine);
export const linkLine = () => make({ strip: false });
export const linkStrip = () => make({ strip: true, className: "strip" });
