// One conversation: who it is with, what was said, and where one answers.

import { client, me } from "./session.js";
import { Part, define, framed, h, replace } from "./dom.js";
import { goBack } from "./app.js";
import { announce } from "./announce.js";
import { changes, channelAvatar, nameOf, seen, titleOf } from "./people.js";
import { composer } from "./composer.js";
import { icon } from "./icons.js";
import { infoDialog } from "./info.js";
import { linkStrip } from "./link.js";
import { messages } from "./messages.js";
import { errorText, t } from "./i18n.js";

/** `receipts` and `typing` of more people than this are a number. */
const TYPING_NAMES_MAX = 3;

class Conversation extends Part {
  #title = h("h1", {});
  #under = h("p.under", {});
  #typing = h("div.typing", { "aria-live": "off" });
  #picture = h("span", {});
  #pictured;

  begin() {
    this.channel = client.channel(this.channelId);
    this.#skeleton();
    const head = framed(() => this.#head());
    this.listen(this.channel, "info", head);
    this.listen(this.channel, "typing", () => this.#typists());
    this.listen(changes, "user presence", head);
    this.listen(client, "link", head);
    const timer = setInterval(head, 60_000);
    this.signal.addEventListener("abort", () => clearInterval(timer));
    this.#head();
    this.#askPresence();
  }

  #skeleton() {
    const { channel } = this;
    this.list = messages({ channel, conversation: this });
    this.composer = composer({ channel, conversation: this });
    const round = (sign, label, act, cls) => h(`button.round${cls ?? ""}`, { type: "button", "aria-label": label, title: label, onclick: act }, icon(sign));
    this.append(
      h(
        "div.head",
        {},
        round("back", t("conversation.back"), goBack, ".back"),
        this.#picture,
        h("div.names", {}, this.#title, this.#under),
        round("info", t("info.title"), () => infoDialog(channel)),
      ),
      linkStrip(),
      this.list,
      this.#typing,
      this.composer,
    );
  }

  #head() {
    const { info } = this.channel;
    if (!info) {
      this.#title.textContent = "…";
      return;
    }
    const key = `${info.peer}${info.title}`;
    if (this.#pictured !== key) this.#picture.replaceChildren(channelAvatar(info));
    this.#pictured = key;
    this.#title.textContent = titleOf(info);
    const under = info.kind === "direct" ? (info.peer === me() ? t("conversation.notes.hint") : seen(info.peer)) : t("conversation.members", { count: info.memberCount });
    if (this.#under.textContent !== under) this.#under.textContent = under;
    this.composer.allow(info.kind !== "broadcast" || info.role !== "member");
  }

  #typists() {
    const { typing } = this.channel;
    this.#typing.classList.toggle("on", typing.length > 0);
    if (!typing.length) return;
    const dots = h("i.dots", { "aria-hidden": "true" }, h("b", {}), h("b", {}), h("b", {}));
    const who = typing.length > TYPING_NAMES_MAX ? t("typing.many", { count: typing.length }) : t("typing.some", { count: typing.length, who: typing.map(nameOf).join(", ") });
    replace(this.#typing, dots, h("span", {}, who));
  }

  /** The presence of those who are not told of by themselves. */
  async #askPresence() {
    const peer = this.channel.info?.peer;
    if (!peer || client.presence.peek(peer)) return;
    await client.presence.ask([peer], { signal: this.signal }).catch(() => {});
    this.#head();
  }

  // ---- what the list and the composer want of each other

  reply(item) {
    this.composer.reply(item);
  }

  edit(item) {
    this.composer.edit(item);
  }

  editLast() {
    const last = this.list.lastOwn();
    if (last) this.composer.edit(last);
    return Boolean(last);
  }

  sent() {
    this.list.toNewest();
  }

  failed(error) {
    announce(errorText(error));
  }
}

export const conversation = define("suda-conversation", Conversation);
