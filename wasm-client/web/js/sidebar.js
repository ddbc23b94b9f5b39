// The list of conversations, and what stands around it.

import { client, me } from "./session.js";
import { Part, define, framed, h, replace } from "./dom.js";
import { place, placeLink } from "./app.js";
import { avatar, changes, channelAvatar, name, nameOf, titleOf } from "./people.js";
import { drafts } from "./drafts.js";
import { friendsDialog } from "./friends.js";
import { icon } from "./icons.js";
import { linkLine } from "./link.js";
import { newChatDialog } from "./new-chat.js";
import { settingsDialog } from "./settings.js";
import { short, whole } from "./time.js";
import { t } from "./i18n.js";
import { canAsk, ask } from "./notifications.js";
import * as push from "./push.js";

class Sidebar extends Part {
  #list = h("ul", { role: "list" });
  #empty = h("div.empty", { hidden: true });
  #search = h("input", { type: "search", placeholder: t("list.search"), "aria-label": t("list.search"), autocomplete: "off" });
  #requests = h("i.count", { hidden: true });
  #asking = h("div.asking", { hidden: true });
  #rows = new Map();

  begin() {
    const button = (sign, label, act, ...more) => h("button.round", { type: "button", "aria-label": label, title: label, onclick: act }, icon(sign), ...more);
    this.append(
      h(
        "div.head",
        {},
        h("button.mine", { type: "button", "aria-label": t("settings.title"), title: t("settings.title"), onclick: settingsDialog }, avatar(me())),
        h("h1", {}, t("list.title")),
        button("group", t("friends.title"), friendsDialog, this.#requests),
        button("add", t("new.title"), newChatDialog),
      ),
      h("div.search", {}, icon("search"), this.#search),
      this.#asking,
      h("nav", { "aria-label": t("list.title") }, this.#list, this.#empty),
      linkLine(),
    );
    const draw = framed(() => this.isConnected && this.#draw());
    this.#search.addEventListener("input", draw);
    this.#search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.#list.addEventListener("keydown", (event) => this.#listKey(event));
    this.listen(client, "channels suda:place", draw);
    this.listen(client, "link", draw);
    this.listen(changes, "user", draw);
    this.listen(drafts, "change", draw);
    this.listen(client, "friends", () => this.#countRequests());
    this.listen(client, "link", ({ detail }) => detail.state === "online" && this.#countRequests());
    // "5:03" is "yesterday" tomorrow.
    const timer = setInterval(draw, 60_000);
    this.signal.addEventListener("abort", () => clearInterval(timer));
    this.#countRequests();
    this.#askForNotifications();
    // They may be turned on elsewhere.
    this.listen(push.worker, "change", () => (this.#asking.hidden = !canAsk()));
    this.#draw();
  }

  async #countRequests() {
    const received = await client.friends.received({ signal: this.signal }).catch(() => null);
    if (!received) return;
    this.#requests.hidden = received.length === 0;
    this.#requests.textContent = received.length;
    const label = received.length ? t("friends.titleWith", { count: received.length }) : t("friends.title");
    this.#requests.parentElement.setAttribute("aria-label", label);
  }

  #askForNotifications() {
    this.#asking.hidden = !canAsk();
    const answer = (yes) => async () => {
      await ask(yes);
      this.#asking.hidden = true;
    };
    replace(
      this.#asking,
      icon("bell"),
      h("p", {}, t("notify.ask")),
      h("button.small.primary", { type: "button", onclick: answer(true) }, t("notify.yes")),
      h("button.small", { type: "button", onclick: answer(false) }, t("notify.no")),
    );
  }

  #draw() {
    const wanted = this.#search.value.trim().toLowerCase();
    const shown = client.channels.filter((info) => !wanted || titleOf(info).toLowerCase().includes(wanted));
    const open = place().channel;
    const keep = new Map();
    let next = this.#list.firstChild;
    for (const info of shown) {
      const draft = drafts.peek(info.id);
      const title = titleOf(info);
      const state = [info.id === open, draft, title, info.muted, info.preview ? nameOf(info.preview.by) : "", short(info.lastAtMs), location.search].join("\n");
      let row = this.#rows.get(info.id);
      if (row?.info !== info || row.state !== state) {
        const focused = row?.element.contains(document.activeElement);
        const element = this.#row(info, title, draft, info.id === open);
        if (row?.element === next) next = next.nextSibling;
        row?.element.replaceWith(element);
        row = { info, state, element };
        if (focused) element.firstChild.focus();
      }
      keep.set(info.id, row);
      if (row.element === next) next = next.nextSibling;
      else this.#list.insertBefore(row.element, next);
    }
    for (const [id, row] of this.#rows) if (!keep.has(id)) row.element.remove();
    this.#rows = keep;
    this.#empty.hidden = shown.length > 0 || (!client.channelsComplete && !wanted);
    if (!this.#empty.hidden) this.#drawEmpty(wanted);
  }

  #drawEmpty(wanted) {
    if (wanted) return replace(this.#empty, h("p", {}, t("list.notFound")));
    replace(
      this.#empty,
      h("p.big", {}, t("list.empty")),
      h("p", {}, t("list.empty.hint")),
      h("button.primary", { type: "button", onclick: newChatDialog }, t("new.title")),
    );
  }

  #row(info, title, draft, current) {
    const { preview, unread } = info;
    const by = preview && preview.by !== info.peer ? (preview.by === me() ? t("you") : name(preview.by)) : null;
    const said = draft
      ? [h("b.draft", {}, t("list.draft")), " ", draft.slice(0, 200)]
      : preview
        ? [by && [by, ": "], preview.text ? preview.text.slice(0, 200) : h("em", {}, t("list.noText"))]
        : [h("em", {}, t("list.noMessages"))];
    return h(
      "li",
      {},
      placeLink(
        "a.row",
        `/c/${info.id}`,
        { "aria-current": current ? "page" : null, "data-channel": info.id },
        channelAvatar(info),
        h(
          "span.what",
          {},
          h("span.line", {}, h("strong", {}, title), info.muted && icon("muted"), h("time", { datetime: new Date(info.lastAtMs).toISOString(), title: whole(info.lastAtMs) }, short(info.lastAtMs))),
          h(
            "span.line",
            {},
            h("span.preview", {}, said),
            unread > 0 && h("i.count", { class: info.muted ? "count dim" : "count" }, unread > 999 ? "999+" : unread, h("span.unseen", {}, ` ${t("list.unread", { count: unread })}`)),
          ),
        ),
      ),
    );
  }

  #searchKey(event) {
    if (event.key === "Escape") this.#search.value = "";
    if (event.key === "Escape") this.#draw();
    else if (event.key === "ArrowDown") this.#list.querySelector("a")?.focus();
    else if (event.key === "Enter") this.#list.querySelector("a")?.click();
    else return;
    event.preventDefault();
  }

  #listKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.altKey) return;
    event.preventDefault();
    const links = [...this.#list.querySelectorAll("a")];
    const next = links.indexOf(document.activeElement) + step;
    if (next < 0) this.#search.focus();
    else links[next]?.focus();
  }
}

export const sidebar = define("suda-sidebar", Sidebar);
