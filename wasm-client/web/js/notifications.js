// Telling people of messages when they are not looking: the system's notifications, the page's title and badge.

import { client, me } from "./session.js";
import { go, place } from "./app.js";
import { announce } from "./announce.js";
import { nameOf, titleOf } from "./people.js";
import { read, write } from "./preferences.js";
import * as push from "./push.js";
import * as quiet from "./quiet.js";
import { t } from "./i18n.js";

const supported = () => typeof Notification === "function" && isSecureContext;

export const wanted = () => supported() && Notification.permission === "granted" && read("suda:notify", true);

/** Whether to ask: once, and not those who have said anything. */
export const canAsk = () => supported() && Notification.permission === "default" && read("suda:notify") === null;

export async function ask(yes) {
  write("suda:notify", yes);
  if (yes && supported() && Notification.permission === "default") await Notification.requestPermission();
  await settle();
  return wanted();
}

export const blocked = () => !supported() || Notification.permission === "denied";

/** Whether what the server pushes is to be as it is wanted here. */
let unsettled = false;

async function settle() {
  unsettled = false;
  try {
    await (wanted() && me() ? push.turnOn() : push.turnOff());
  } catch {
    // Once more with the next link.
    unsettled = true;
  }
}

export function listen() {
  push.listen();
  quiet.listen();
  client.addEventListener("notify", ({ detail }) => told(detail));
  client.addEventListener("channels", badge);
  client.addEventListener("channels", dismiss);
  client.addEventListener("suda:place", badge);
  client.addEventListener("session", () => {
    dismissed.clear();
    settle();
  });
  client.addEventListener("link", ({ detail }) => detail.state === "online" && unsettled && settle());
  push.worker.addEventListener("message", ({ detail }) => heard(detail));
  // Somebody may change their mind in the browser's own settings.
  navigator.permissions?.query({ name: "notifications" }).then(
    (permission) => permission.addEventListener("change", settle),
    () => {},
  );
  settle();
  badge();
}

function heard({ suda, notice, channel }) {
  if (suda === "go") go(`/c/${channel}`);
  else if (suda === "renewed") settle();
  else if (suda === "pushed") {
    const info = client.channels.find(({ id }) => id === notice.channel);
    // What came by the link too was told of by the link.
    if (!info || info.head < notice.seq) show(notice);
  }
}

function told(notice) {
  const info = client.channels.find(({ id }) => id === notice.channelId);
  if (notice.by === me() || !info) return;
  const who = nameOf(notice.by);
  const direct = info.kind === "direct";
  if (notice.looking) return;
  const text = notice.text || t("push.new");
  if (document.visibilityState === "visible") announce(t("notify.announce", { who: direct ? who : `${who} · ${titleOf(info)}`, text: text.slice(0, 200) }));
  if (!quiet.isQuiet()) show({ channel: notice.channelId, seq: notice.seq, atMs: notice.atMs, title: titleOf(info), line: direct ? text : `${who}: ${text}` });
}

function show(notice) {
  if (!wanted() || push.tell({ suda: "show", notice })) return;
  try {
    const { channel, title, line } = notice;
    const shown = new Notification(title, { body: line, tag: `suda:${channel}`, renotify: true, icon: new URL("../icon.png", import.meta.url).href });
    shown.onclick = () => {
      focus();
      go(`/c/${channel}`);
      shown.close();
    };
  } catch {
    // Some systems only let a service worker show them.
  }
}

/** Channel → how far it was read when the worker was told. */
const dismissed = new Map();

/** What was read here or elsewhere needs no notification any more. */
function dismiss() {
  const moved = client.channels.filter(({ id, read }) => dismissed.get(id) !== read);
  if (!moved.length || !push.tell({ suda: "read", read: moved.map(({ id, read }) => [id, read]) })) return;
  for (const { id, read } of moved) dismissed.set(id, read);
}

function badge() {
  const count = client.unreadTotal;
  const info = client.channels.find(({ id }) => id === place().channel);
  const title = info ? `${titleOf(info)} · suda` : "suda";
  document.title = count ? `(${count}) ${title}` : title;
  if (count) navigator.setAppBadge?.(count).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
}
