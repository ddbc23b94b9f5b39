// What one can do with a message: a small bar beside it for the mouse, and a menu for keys, fingers and the rest.

import { h, replace, touches } from "./dom.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { emojiGrid, QUICK } from "./emoji.js";
import { receiptsDialog } from "./receipts.js";
import { t } from "./i18n.js";

const can = (item, list) => ({
  react: item.seq !== null && !item.deleted,
  reply: item.seq !== null && !item.deleted,
  copy: Boolean(item.text),
  edit: item.own && item.seq !== null && !item.deleted && item.text !== null,
  info: item.own && item.seq !== null && list.channel.receipts.length > 0,
  remove: item.seq !== null && !item.deleted && (item.own || ["admin", "owner"].includes(list.channel.info?.role)),
});

/** The bar: one for the whole list, in the row that the mouse is over. */
export function toolbar(scroller, itemOf, act, list) {
  if (touches()) return;
  let at = null;
  const bar = h("div.bar", {});
  const button = (sign, label, run) => h("button", { type: "button", tabindex: "-1", "aria-label": label, title: label, onclick: () => run(itemOf(bar)) }, icon(sign));
  scroller.addEventListener("pointerover", ({ target, pointerType }) => {
    const row = pointerType === "mouse" && target.closest?.(".item");
    if (!row || row === at) return;
    at = row;
    const item = itemOf(row);
    const allowed = item?.type === "message" ? can(item, list) : {};
    replace(
      bar,
      allowed.react && button("smile", t("message.react"), (item) => messageMenu(item, bar, act, list, { emoji: true })),
      allowed.reply && button("reply", t("message.reply"), act.reply),
      item?.type === "message" && button("more", t("message.more"), (item) => messageMenu(item, bar, act, list)),
    );
    if (bar.childElementCount) row.querySelector(".column")?.append(bar);
  });
  scroller.addEventListener("pointerleave", () => {
    bar.remove();
    at = null;
  });
}

let open = null;

/** The menu, beside an element. Keys move in it, Escape and a click elsewhere close it. */
export function messageMenu(item, beside, act, list, { emoji = false } = {}) {
  open?.remove();
  const back = beside.closest(".item");
  const allowed = can(item, list);
  const menu = (open = h("div.menu", { role: "menu", popover: "auto", "aria-label": t("message.actions") }));
  const close = () => menu.hidePopover();
  const entry = (sign, label, run, danger) =>
    h("button", { type: "button", role: "menuitem", class: danger ? "danger" : null, onclick: () => (close(), run(item)) }, icon(sign), h("span", {}, label));
  const react = (emoji) => {
    close();
    act.react(item, emoji, !item.reactions.some((reaction) => reaction.emoji === emoji && reaction.mine));
  };
  const all = () => {
    replace(menu, emojiGrid(react));
    menu.classList.add("wide");
    placeBeside(menu, beside);
    menu.querySelector("button").focus();
  };
  replace(
    menu,
    allowed.react &&
      h(
        "div.quick",
        { role: "group", "aria-label": t("message.react") },
        QUICK.map((emoji) => h("button", { type: "button", role: "menuitem", "aria-label": t("message.reactWith", { emoji }), onclick: () => react(emoji) }, emoji)),
        h("button", { type: "button", role: "menuitem", "aria-label": t("message.moreEmoji"), title: t("message.moreEmoji"), onclick: all }, icon("add")),
      ),
    allowed.reply && entry("reply", t("message.reply"), act.reply),
    allowed.copy && entry("copy", t("message.copy"), copy),
    allowed.edit && entry("edit", t("message.edit"), act.edit),
    allowed.info && entry("checks", t("receipts.title"), (item) => receiptsDialog(list.channel, item)),
    item.delivery === "failed" && entry("plane", t("message.retry"), act.retry),
    item.delivery === "failed" && entry("trash", t("message.discard"), act.discard, true),
    allowed.remove && entry("trash", t("message.delete"), act.remove, true),
  );
  if (!menu.childElementCount) return;
  (document.querySelector("suda-chat") ?? document.body).append(menu);
  menu.addEventListener("keydown", (event) => move(event, menu));
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    const inside = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (inside && back?.isConnected) back.focus({ preventScroll: true });
  });
  menu.showPopover();
  if (emoji) return all();
  placeBeside(menu, beside);
  menu.querySelector("button").focus();
}

function placeBeside(menu, beside) {
  const box = beside.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const right = beside.closest(".own") !== null;
  const x = Math.max(8, Math.min(right ? box.right - width : box.left, innerWidth - width - 8));
  const below = box.bottom + 6 + height < innerHeight - 8;
  const y = below ? box.bottom + 6 : Math.max(8, Math.min(box.top - height - 6, innerHeight - height - 8));
  menu.style.left = `${x}px`;
  menu.style.top = `${y}px`;
}

function move(event, menu) {
  const buttons = [...menu.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const row = document.activeElement.closest(".quick, .emoji");
  const inRow = row?.querySelectorAll("button").length ?? 1;
  const columns = row?.matches(".emoji") ? 8 : inRow;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row?.matches(".quick") ? inRow - at : columns, ArrowUp: row?.matches(".emoji") ? -columns : -1, Home: -at, End: buttons.length - 1 - at };
  if (event.key === "Tab") return menu.hidePopover();
  if (!(event.key in steps)) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(buttons.length - 1, at + steps[event.key]))]?.focus();
}

async function copy(item) {
  try {
    await navigator.clipboard.writeText(item.text);
    announce(t("message.copied"));
  } catch {
    // The browser has asked, and was told no.
  }
}

