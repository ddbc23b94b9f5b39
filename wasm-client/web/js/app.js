// Which screen there is: logging in, or the conversations; and where in them, which is the page's address.

import { client, me } from "./session.js";
import { h } from "./dom.js";
import { announcer } from "./announce.js";
import { authScreen } from "./auth.js";
import { chatScreen } from "./chat.js";
import * as notifications from "./notifications.js";
import * as people from "./people.js";

let shownFor;

export function start() {
  people.listen();
  notifications.listen();
  client.addEventListener("session", draw);
  client.addEventListener("link", ({ detail }) => detail.reason === "revoked" && draw());
  addEventListener("popstate", route);
  // Links within the app change its place, not the page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-place]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(link.dataset.place);
  });
  draw();
}

function draw() {
  const user = me();
  if (shownFor !== undefined && shownFor === user) return;
  shownFor = user;
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  const screen = user ? chatScreen() : authScreen();
  document.body.replaceChildren(screen, announcer());
  document.body.dataset.screen = user ? "chat" : "auth";
  if (user) route();
}

// ---- places

/** `/c/ID`, `/join/CODE`, or `/`. */
export function place() {
  const [, kind, id] = location.pathname.split("/");
  if (kind === "c" && /^\d+$/.test(id ?? "")) return { channel: id };
  if (kind === "join" && id) return { invite: decodeURIComponent(id) };
  return {};
}

/** The address of a place, for this login. */
export const address = (path) => path + location.search;

export function go(path, { instead = false } = {}) {
  const full = address(path);
  if (full !== location.pathname + location.search) history[instead ? "replaceState" : "pushState"]({ from: location.pathname }, "", full);
  route();
}

/** To the list, which on phones is where one came from. */
export const goBack = () => (history.state?.from === "/" ? history.back() : go("/", { instead: true }));

function route() {
  document.querySelector("suda-chat")?.show(place());
}

export const placeLink = (name, path, props, ...children) => h(name, { href: address(path), "data-place": path, ...props }, ...children);
