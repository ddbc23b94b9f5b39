// Telling people of messages when they are not looking: the browser's notifications, the page's title and badge.

import { client, me } from "./session.js";
import { go, place } from "./app.js";
import { announce } from "./announce.js";
import { nameOf, titleOf } from "./people.js";
import { read, write } from "./preferences.js";
import { t } from "./i18n.js";

const supported = () => typeof Notification === "function" && isSecureContext;

export const wanted = () => supported() && Notification.permission === "granted" && read("suda:notify", true);

/** Whether to ask: once, and not those who have said anything. */
export const canAsk = () => supported() && Notification.permission === "default" && read("suda:notify") === null;

export async function ask(yes) {
  write("suda:notify", yes);
  if (yes && supported() && Notification.permission === "default") await Notification.requestPermission();
  return wanted();
}

export const blocked = () => !supported() || Notification.permission === "denied";

export function listen() {
  client.addEventListener("notify", ({ detail }) => tell(detail));
  client.addEventListener("channels", badge);
  client.addEventListener("suda:place", badge);
  badge();
}

function tell(notice) {
  const info = client.channels.find(({ id }) => id === notice.channelId);
  if (notice.by === me() || !info) return;
  const who = nameOf(notice.by);
  const title = info.kind === "direct" ? who : `${who} · ${titleOf(info)}`;
  if (notice.looking) return;
  if (document.visibilityState === "visible") announce(t("notify.announce", { who: title, text: notice.text.slice(0, 200) }));
  if (!wanted()) return;
  try {
    const shown = new Notification(title, { body: notice.text, tag: `suda:${notice.channelId}`, renotify: true, icon: new URL("../icon.svg", import.meta.url).href });
    shown.onclick = () => {
      focus();
      go(`/c/${notice.channelId}`);
      shown.close();
    };
  } catch {
    // Some systems only let a service worker show them.
  }
}

function badge() {
  const count = client.unreadTotal;
  const info = client.channels.find(({ id }) => id === place().channel);
  const title = info ? `${titleOf(info)} · suda` : "suda";
  document.title = count ? `(${count}) ${title}` : title;
  if (count) navigator.setAppBadge?.(count).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
}
