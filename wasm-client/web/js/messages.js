// The messages of a conversation: a timeline of the client in a window of rows.

import { me } from "./session.js";
import { Part, define, framed, h, replace } from "./dom.js";
import { announce } from "./announce.js";
import { confirmDialog } from "./dialog.js";
import { icon } from "./icons.js";
import { changes, channelAvatar, nameOf, titleOf } from "./people.js";
import { messageMenu, toolbar } from "./menu.js";
import { row } from "./message.js";
import { Quotes } from "./quotes.js";
import { Window } from "./window.js";
import { dayOf } from "./time.js";
import { t } from "./i18n.js";

/** Messages of one author within this are one group. */
const TOGETHER_MS = 300_000;
/** How many messages come at once, and how near the end of what is loaded asks for more. */
const PAGE = 100;
const LOAD_WITHIN_PX = 2_500;

class Messages extends Part {
  #timeline;
  #window;
  #items = [];
  #quotes;
  /** Above which message the line with "new" is. */
  #unread = null;
  /** Until somebody scrolls, the view stays where the unread ones begin. */
  #placing = true;
  #ready = false;
  #loading = false;
  #seenTo = 0;
  #down = h("button.float.down", { type: "button", hidden: true, onclick: () => this.toNewest() });
  #up = h("button.float.up", { type: "button", hidden: true, onclick: () => this.toUnread() });
  #scroller = h("div.scroller", { role: "feed", tabindex: "0", "aria-label": t("message.list"), "aria-busy": "true" });
  #act = {
    jump: (seq) => this.jump(seq),
    react: (item, emoji, on) => this.channel.react(item.seq, emoji, on),
    retry: (item) => this.channel.retry(item.clientMsgId),
    discard: (item) => this.channel.discard(item.clientMsgId),
    reply: (item) => this.conversation.reply(item),
    edit: (item) => this.conversation.edit(item),
    remove: (item) => this.#remove(item),
    resized: () => this.#window?.refresh(),
  };

  begin() {
    const { channel } = this;
    this.append(this.#scroller, this.#up, this.#down);
    this.#quotes = new Quotes(channel, () => this.#refresh());
    this.#window = new Window(this.#scroller, { guess, draw: (i, old) => this.#row(i, old), scrolled: () => this.#scrolled() });
    const unread = channel.info?.unread ?? 0;
    this.#unread = unread > 0 ? undefined : null;
    this.#timeline = channel.timeline({ signal: this.signal });
    this.listen(this.#timeline, "change", ({ detail }) => this.#changed(detail));
    this.listen(channel, "receipts info", () => this.#refresh());
    this.listen(changes, "user", () => this.#head());
    this.listen(window, "focus", () => this.#markRead());
    this.listen(document, "visibilitychange", () => this.#markRead());
    for (const type of ["wheel", "touchmove", "pointerdown", "keydown"]) this.listen(this.#scroller, type, () => (this.#placing = false), { passive: true });
    this.listen(this.#scroller, "keydown", (event) => this.#key(event));
    this.listen(this.#scroller, "contextmenu", (event) => this.#menuAt(event));
    toolbar(this.#scroller, (element) => this.#itemOf(element), this.#act, this);
    this.#timeline.ready.then(() => this.#begun(unread), () => {});
  }

  end() {
    this.#window.stop();
  }

  async #begun(unread) {
    this.#ready = true;
    this.#scroller.setAttribute("aria-busy", "false");
    if (unread > 0 && this.#timeline.firstUnread === null) await this.#timeline.jumpTo("unread", { signal: this.signal }).catch(() => {});
    this.#changed({ items: this.#timeline.items, changed: [], reset: false });
    this.#loadMore();
  }

  // ---- what changed

  #changed({ items, changed, reset }) {
    const shown = items.filter((item) => item.type !== "unknown");
    const newest = this.#items.at(-1)?.seq ?? 0;
    const away = document.visibilityState !== "visible" || !document.hasFocus();
    const fresh = changed.filter((item) => item.type === "message" && !item.own && item.seq > newest);
    this.#items = shown;
    this.#findUnread(away && this.#ready && this.#window.atEnd ? fresh[0]?.seq : undefined);
    this.#window.set(shown, { reset });
    if (this.#placing && this.#unread) this.#toLine();
    if (this.#ready && !reset && !away) for (const item of fresh.slice(-3)) announce(`${nameOf(item.by)}: ${item.text?.slice(0, 300) ?? ""}`);
    this.#head();
    this.#buttons();
    this.#markRead();
  }

  #findUnread(cameWhileAway) {
    if (this.#unread === undefined && this.#timeline.firstUnread !== null) this.#unread = this.#timeline.firstUnread;
    // The old line is of no use to who has read to the end and was away.
    else if (cameWhileAway && (this.#unread === null || this.#unread <= this.#seenTo)) this.#unread = cameWhileAway;
  }

  #refresh = framed(() => this.isConnected && this.#window.refresh());

  #row(i, old) {
    const item = this.#items[i];
    const before = this.#items[i - 1];
    const after = this.#items[i + 1];
    const { info } = this.channel;
    const context = {
      day: !before || dayOf(before.atMs) !== dayOf(item.atMs),
      unread: item.seq !== null && item.seq === this.#unread,
      group: info?.kind !== "direct",
    };
    if (item.type === "message") {
      context.first = context.day || context.unread || !together(before, item);
      context.last = !after || !together(item, after) || dayOf(after.atMs) !== dayOf(item.atMs) || after.seq === this.#unread;
      if (item.own && item.seq !== null) context.receipt = this.#receipt(item.seq);
      if (item.replyTo !== null && !item.deleted) context.quote = this.#quotes.get(item.replyTo, this.#items);
    }
    const same = old && old.item === item && Object.keys(context).every((key) => old.context[key] === context[key]);
    return same ? old : { item, context, element: row(item, context, this.#act) };
  }

  /** How far a message of one's own has got: with everybody, where there are many. */
  #receipt(seq) {
    const { receipts } = this.channel;
    if (receipts.length === 0) return "sent";
    if (receipts.every(({ read }) => read >= seq)) return "read";
    return receipts.every(({ delivered, read }) => Math.max(delivered, read) >= seq) ? "delivered" : "sent";
  }

  /** What is above the first message: that it is the first, or that more is coming. */
  #head() {
    const { info } = this.channel;
    if (!this.#window || !info) return;
    const { head } = this.#window;
    const state = this.#timeline.hasOlder || !this.#ready ? "older" : `first ${titleOf(info)}`;
    if (head.dataset.state === state) return;
    head.dataset.state = state;
    head.className = state === "older" ? "older" : "first-of-all";
    if (state === "older") return replace(head, h("i.spinner", { "aria-hidden": "true" }));
    const direct = info.kind === "direct";
    replace(
      head,
      channelAvatar(info, { dot: false }),
      h("strong", {}, titleOf(info)),
      h("p", {}, direct ? (info.peer === me() ? t("conversation.notes.first") : t("conversation.first", { name: titleOf(info) })) : t("conversation.first.group", { name: titleOf(info) })),
    );
    this.#window.refresh();
  }

  // ---- scrolling

  #scrolled() {
    this.#buttons();
    this.#markRead();
    this.#loadMore();
  }

  async #loadMore() {
    if (this.#loading || !this.#ready || !this.isConnected) return;
    const timeline = this.#timeline;
    const older = timeline.hasOlder && this.#window.fromTop < LOAD_WITHIN_PX;
    const newer = !older && timeline.hasNewer && this.#window.fromEnd < LOAD_WITHIN_PX;
    if (!older && !newer) return;
    this.#loading = true;
    try {
      if (older) await timeline.loadOlder({ limit: PAGE, signal: this.signal });
      else await timeline.loadNewer({ limit: PAGE, signal: this.signal });
    } catch {
      // Closed, or refused for now: scrolling asks again.
      return;
    } finally {
      this.#loading = false;
    }
    this.#head();
    requestAnimationFrame(() => this.#loadMore());
  }

  #buttons() {
    const { info } = this.channel;
    const [first] = this.#window.visible();
    const far = !this.#window.atEnd || this.#timeline.hasNewer;
    const waiting = far ? (info?.unread ?? 0) : 0;
    if (this.#down.hidden === far || this.#down.dataset.count !== String(waiting)) {
      this.#down.hidden = !far;
      this.#down.dataset.count = waiting;
      replace(this.#down, icon("down"), waiting > 0 && h("i.count", {}, waiting > 999 ? "999+" : waiting), h("span.unseen", {}, t("message.toNewest")));
    }
    const top = this.#items[first]?.seq ?? Infinity;
    const above = this.#unread !== null && this.#unread !== undefined && this.#unread < top && this.#unread > this.#jumped;
    if (this.#up.hidden === above) {
      this.#up.hidden = !above;
      replace(this.#up, icon("up"), h("span", {}, t("message.toUnread")));
    }
  }

  /** Once the line was in view, nobody needs to be led to it. */
  #jumped = 0;

  #markRead() {
    if (!this.#ready || document.visibilityState !== "visible" || !document.hasFocus() || !this.channel.info) return;
    const [first, last] = this.#window.visible();
    if (first >= 0 && (this.#items[first].seq ?? 0) <= this.#unread) this.#jumped = Math.max(this.#jumped, this.#items[last].seq >= this.#unread ? this.#unread : 0);
    const seq = this.#window.atEnd && !this.#timeline.hasNewer ? this.channel.info.head : (this.#items[last]?.seq ?? 0);
    this.#seenTo = Math.max(this.#seenTo, seq);
    if (seq > this.channel.info.read) this.channel.markRead(seq);
  }

  #toLine() {
    const index = this.#items.findIndex((item) => item.seq === this.#unread);
    if (index >= 0) this.#window.toIndex(index, 0.2);
  }

  async toUnread() {
    this.#placing = false;
    if (!this.#items.some((item) => item.seq === this.#unread)) await this.#timeline.jumpTo({ seq: this.#unread }, { signal: this.signal }).catch(() => {});
    this.#toLine();
    this.#scroller.focus();
  }

  async toNewest() {
    this.#placing = false;
    if (this.#timeline.hasNewer) await this.#timeline.jumpTo("newest", { signal: this.signal }).catch(() => {});
    this.#window.toEnd();
    this.#buttons();
  }

  /** Shows a message and makes it stand out for a moment. */
  async jump(seq) {
    this.#placing = false;
    const item = await this.#timeline.jumpTo({ seq }, { signal: this.signal }).catch(() => null);
    const index = item ? this.#items.findIndex(({ key }) => key === item.key) : -1;
    if (!this.#window.toIndex(index)) return;
    const element = this.#window.element(item.key);
    element.classList.add("shown");
    element.focus({ preventScroll: true });
    setTimeout(() => element.classList.remove("shown"), 1_600);
  }

  lastOwn() {
    return this.#items.findLast((item) => item.type === "message" && item.own && item.seq !== null && !item.deleted && item.text !== null);
  }

  // ---- keys and menus

  #itemOf(element) {
    const key = element?.closest?.(".item")?.dataset.key;
    return key === undefined ? undefined : this.#items.find((item) => item.key === key);
  }

  #key(event) {
    const at = event.target.closest(".item");
    if (event.altKey || event.ctrlKey || event.metaKey || (event.target.closest("button, a") && !event.key.startsWith("Arrow"))) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      event.preventDefault();
      this.#focus(at ? this.#window.indexOf(at.dataset.key) + step : this.#window.visible()[1]);
    } else if (event.key === "End") {
      event.preventDefault();
      this.toNewest().then(() => this.#focus(this.#items.length - 1));
    } else if ((event.key === "Enter" || event.key === " ") && at === event.target) {
      event.preventDefault();
      const item = this.#itemOf(at);
      if (item?.type === "message") messageMenu(item, at.querySelector(".bubble"), this.#act, this);
    }
  }

  #focus(index) {
    const item = this.#items[index];
    if (!item) return;
    let element = this.#window.element(item.key);
    if (!element) {
      this.#window.toIndex(index, 0.5);
      element = this.#window.element(item.key);
    }
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  #menuAt(event) {
    const item = this.#itemOf(event.target);
    if (item?.type !== "message" || !event.target.closest(".bubble") || event.target.closest("a") || String(getSelection())) return;
    event.preventDefault();
    messageMenu(item, event.target.closest(".bubble"), this.#act, this);
  }

  async #remove(item) {
    if (await confirmDialog(t("message.delete.sure"), { yes: t("message.delete"), danger: true })) this.channel.delete(item.seq);
  }

  /** For who measures. */
  get rendered() {
    return this.#window.rendered;
  }
  get count() {
    return this.#items.length;
  }
}

const together = (one, other) => one?.type === "message" && other.type === "message" && one.by === other.by && other.atMs - one.atMs < TOGETHER_MS;

function guess(item) {
  if (item.type !== "message") return 40;
  const lines = Math.min(24, Math.ceil((item.text?.length ?? 10) / 55));
  return 34 + 21 * (lines - 1) + (item.reactions.length ? 30 : 0) + (item.replyTo !== null ? 48 : 0);
}

export const messages = define("suda-messages", Messages);
