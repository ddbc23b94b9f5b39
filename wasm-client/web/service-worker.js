// The app's service worker: it shows what is pushed while no tab is open, and what tabs have to tell; one notification for each
// conversation, with its last lines. It keeps nothing of the app: that works without it. Not a module, for not all browsers have
// modules here. `build.js` puts in the words and the package's address.

const WORDS = {};
const PACKAGE = "/static/dev/suda/";

// The page's policy holds here too.
self.trustedTypes?.createPolicy("default", {
  createScriptURL: (address) => (address === `${PACKAGE}push-worker.js` ? address : null),
});
importScripts(`${PACKAGE}push-worker.js`);

/** Which login of this browser it is for: see push.js in the app. */
const profile = decodeURIComponent(/^\/profile\/(.*)\/$/.exec(new URL(registration.scope).pathname)?.[1] ?? "");
const language = new URL(location.href).searchParams.get("language");
const LINES_MAX = 4;
/** How many entries of a conversation are remembered as told. */
const TOLD_MAX = 100;

const t = (key, params = {}) => (WORDS[language] ?? WORDS.en)[key].replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole);
const tagOf = (channel) => `suda:${profile}:${channel}`;

addEventListener("install", () => skipWaiting());

/** One after the other: each looks at what is shown, and changes it. */
let turn = Promise.resolve();
const inTurn = (event, act) => event.waitUntil((turn = turn.then(act, act)));

addEventListener("push", (event) => {
  let pushed;
  try {
    pushed = event.data.json();
  } catch {
    return;
  }
  if (pushed?.v === 1) inTurn(event, () => took(pushed));
});

addEventListener("message", (event) => {
  const { suda, notice, read } = event.data ?? {};
  if (suda === "show") inTurn(event, () => show(notice));
  else if (suda === "read") inTurn(event, () => dismiss(new Map(read)));
  else if (suda === "forget") inTurn(event, forget);
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(go(event.notification.data.channel));
});

addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

// ---- what the server pushes

async function took({ type, channel, seq, at_ms: atMs, badge, title, subtitle, body, loc_key: key, loc_args: args = [] }) {
  if (typeof badge === "number") await (badge ? navigator.setAppBadge?.(badge) : navigator.clearAppBadge?.())?.catch(() => {});
  if (type === "read") return dismiss(new Map([[channel, seq]]));
  if (type !== "message") return;
  const said = { SUDA_NEW_MESSAGE: "push.new", SUDA_PICTURE: "push.picture", SUDA_FILE: "push.file", SUDA_REACTION: "push.reaction" }[key];
  const words = said && t(said, { name: args[0], emoji: args[1] });
  // The body has the sender in it already; a reaction's words have too.
  const line = words === undefined ? body : subtitle && key !== "SUDA_REACTION" ? `${subtitle}: ${words}` : words;
  const notice = { channel, seq, atMs, title: title || "suda", line: line ?? "", plain: key === "SUDA_NEW_MESSAGE" };
  // Who has the app before them is told by it, if it does not know already.
  const watching = (await windows()).find(({ visibilityState }) => visibilityState === "visible");
  if (watching) return watching.postMessage({ suda: "pushed", notice });
  await show(notice);
}

// ---- showing

/** Shows something once, whether the server or a tab has told of it, and however often. */
async function show({ channel, seq, atMs, title, line, plain = false }) {
  const told = await toldOf(channel);
  if (told.includes(seq)) return;
  await keepTold(channel, [...told, seq].sort((a, b) => a - b).slice(-TOLD_MAX));
  const [shown] = await registration.getNotifications({ tag: tagOf(channel) });
  const before = shown?.data ?? { lines: [], count: 0 };
  const lines = [...before.lines, { seq, atMs, line, plain }].sort((a, b) => a.seq - b.seq);
  await draw({ channel, title, lines: lines.slice(-LINES_MAX), count: before.count + 1 }, lines.at(-1).seq === seq);
}

function draw({ channel, title, lines, count }, alert) {
  const hidden = count > 1 && lines.every(({ plain }) => plain);
  return registration.showNotification(count > LINES_MAX ? `${title} (${count})` : title, {
    tag: tagOf(channel),
    body: hidden ? t("push.many", { count }) : lines.map(({ line }) => line).join("\n"),
    data: { channel, title, lines, count },
    timestamp: lines.at(-1).atMs,
    icon: `${PACKAGE}../icon.png`,
    lang: language ?? "",
    renotify: alert,
    silent: !alert,
  });
}

/** Takes away what was read: channel → up to which seq. */
async function dismiss(read) {
  for (const shown of await registration.getNotifications()) {
    const { channel, title, lines } = shown.data;
    const left = lines.filter(({ seq }) => seq > (read.get(channel) ?? 0));
    if (left.length === 0) shown.close();
    else if (left.length < lines.length) await draw({ channel, title, lines: left, count: left.length }, false);
  }
}

/** Somebody logged out: what was shown was theirs. */
async function forget() {
  for (const shown of await registration.getNotifications()) shown.close();
  const rows = await told("readwrite");
  await rows?.clear();
  kept.clear();
  await navigator.clearAppBadge?.().catch(() => {});
}

// ---- the app's windows

/** The app's, of this login. */
async function windows() {
  const all = await clients.matchAll({ type: "window", includeUncontrolled: true });
  return all.filter(({ url }) => {
    const { pathname, searchParams } = new URL(url);
    return /^\/($|c\/|join\/)/.test(pathname) && (searchParams.get("profile") ?? "") === profile;
  });
}

/** A click: the app, where it is open, or else a new window, in that conversation. */
async function go(channel) {
  const open = await windows();
  const best = open.find(({ focused }) => focused) ?? open.find(({ visibilityState }) => visibilityState === "visible") ?? open[0];
  const path = `/c/${channel}`;
  if (!best) return clients.openWindow(profile ? `${path}?profile=${encodeURIComponent(profile)}` : path);
  best.postMessage({ suda: "go", channel });
  // Some browsers only let a window be focused that they think was meant.
  await best.focus().catch(() => {});
}

/** The browser has given this worker another address. */
async function renew(event) {
  if (await sudaPush.renew(event, { profile }).catch(() => false)) return;
  for (const window of await windows()) window.postMessage({ suda: "renewed" });
}

// ---- what was told, for as long as the browser keeps it

/** Where the database can't be had, for as long as the worker lives. */
const kept = new Map();
let opened = null;

async function told(mode) {
  opened ??= new Promise((resolve) => {
    const request = indexedDB.open(`suda-told:${profile}`, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("told");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  });
  const store = (await opened)?.transaction("told", mode).objectStore("told");
  const done = (request) => new Promise((resolve) => ([request.onsuccess, request.onerror] = [() => resolve(request.result), () => resolve(undefined)]));
  return store && { get: (key) => done(store.get(key)), put: (key, value) => done(store.put(value, key)), clear: () => done(store.clear()) };
}

async function toldOf(channel) {
  const rows = await told("readonly");
  return (await rows?.get(channel)) ?? kept.get(channel) ?? [];
}

async function keepTold(channel, seqs) {
  kept.set(channel, seqs);
  const rows = await told("readwrite");
  await rows?.put(channel, seqs);
}
