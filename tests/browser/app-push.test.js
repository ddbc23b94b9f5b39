// Web Push in the chat app, as far as a headless Chromium lets it: that one can't reach a push service, so its subscription is
// the stand-in's, and what the node has pushed there and the stand-in decrypted is delivered to the real service worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App } from "./lib/app.js";
import { Worker } from "./lib/devtools.js";
import { PushService } from "./lib/push-service.js";
import { waitFor } from "./lib/wait.js";

let app, service, kim, lee, channel, worker;

before(async () => {
  service = await PushService.start("lee", "lee-again");
  app = await App.start({ ...service.settings(), "accounts.access_token_ms": 10_000, "session.token_warning_ms": 2_000, "session.presence_grace_ms": 100, "push.recheck_ms": 500 });
  kim = await app.person("kim", { name: "Kim Minji" });
  lee = await app.person("lee", { before: [subscribing, service.subscriptions.lee] });
  channel = await kim.message("lee");
  await kim.say("hello");
  await lee.open(channel);
  await lee.sees("hello");
});
after(async () => {
  await app?.stop();
  service?.stop();
});

/** In a page: its browser's push service is the stand-in. The key that was subscribed with is kept where the test finds it. */
function subscribing(subscription) {
  const now = () => {
    const key = localStorage.getItem("test:key");
    if (key === null) return null;
    const decoded = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
    return {
      options: { applicationServerKey: Uint8Array.from(decoded, (c) => c.charCodeAt(0)).buffer },
      toJSON: () => subscription,
      unsubscribe: async () => (localStorage.removeItem("test:key"), true),
    };
  };
  PushManager.prototype.getSubscription = async () => now();
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => (localStorage.setItem("test:key", applicationServerKey), now());
}

/** By whom the node can push to this device. */
const registered = (person) =>
  person.run(async () => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    const { devices, this: own } = await client.http({}, "GET", "devices");
    return devices.find(({ device }) => device === own).push.join();
  });

/**
 * The messages among all pushes from the `from`th on: which subscription got them, and what they say. The dismissal of a message
 * that was read just before may still be on its way, so those do not count.
 */
const messagesFrom = (from) => service.pushed.slice(from).flatMap(({ name, payload }) => (payload.type === "message" ? [[name, payload.body]] : []));

const settings = (person) => person.press("Profile and settings", "suda-sidebar");

/** Closes the app and keeps the browser. */
async function leave(person) {
  const [page, blank] = [await person.window(), await person.newTab()];
  await person.switchTo(page);
  await person.closeTab();
  await person.switchTo(blank);
  await person.prepareTab();
}

/** Waits until what is shown is so. */
const shows = (what, is) =>
  waitFor(what, async () => {
    const all = await worker.notifications();
    return is(all) && { all, of: (channel) => all.find((one) => one.channel === channel) };
  });
const showsNothing = () => shows("nothing to be shown", (all) => all.length === 0);
/** One notification, with this text. */
const showsOne = (body) => shows(JSON.stringify(body), (all) => all.length === 1 && all[0].body === body).then(({ all }) => all[0]);

test("where the browser has no push service, one is told while a tab is open, and that is said", async () => {
  await kim.mayNotify("granted");
  await settings(kim);
  await kim.turn("Notify in this browser", true);
  await kim.until("it to be said", () => document.querySelector("dialog")?.textContent.includes("while suda is open in a tab"));
  assert.equal(await registered(kim), "");
  // Nothing more is wanted here.
  await kim.turn("Notify in this browser", false);
  await kim.press("Close", "dialog");
});

test("turning notifications on subscribes with the server's key, and registers the address", async () => {
  await lee.mayNotify("granted");
  await settings(lee);
  await lee.turn("Notify in this browser", true);
  await lee.until("it to be said", () => document.querySelector("dialog").textContent.includes("while suda is closed too"));
  assert.equal(await registered(lee), "webpush");
  const { key, wanted } = await lee.run(async () => ({ key: localStorage.getItem("test:key"), wanted: (await (await fetch("/v1/discovery")).json()).web_push_key }));
  assert.equal(key, wanted);
  await lee.turn("Notify in this browser", false);
  await lee.until("the address to be taken back", () => localStorage.getItem("test:key") === null);
  assert.equal(await registered(lee), "");
  await lee.turn("Notify in this browser", true);
  await lee.until("it to be said", () => document.querySelector("dialog").textContent.includes("while suda is closed too"));
  await lee.press("Close", "dialog");
  const { policy, cached, scope } = await lee.run(async () => {
    const script = await fetch("/service-worker.js");
    const [{ scope }] = await navigator.serviceWorker.getRegistrations();
    return { policy: script.headers.get("content-security-policy"), cached: script.headers.get("cache-control"), scope };
  });
  assert.equal(new URL(scope).pathname, "/");
  assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';.*require-trusted-types-for 'script'; trusted-types default;/);
  assert.equal(cached, "no-cache");
});

test("in quiet hours nothing is shown", async () => {
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  worker = new Worker(lee);
  await settings(lee);
  await lee.turn("Quiet hours", true);
  // The whole day, whatever time it is.
  await lee.run(() => {
    for (const input of document.querySelectorAll("dialog input[type=time]")) {
      input.value = "00:00";
      input.dispatchEvent(new Event("change"));
    }
  });
  const kept = async () => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    const [{ quietHours }, { timeZone }] = await Promise.all([client.me.settings(), client.me.profile()]);
    return quietHours && timeZone ? `${quietHours.fromMinute}-${quietHours.toMinute}/${quietHours.days}` : timeZone && "none";
  };
  await waitFor("the whole day to be kept", async () => (await lee.run(kept)) === "0-0/127");
  const isQuiet = async (quiet) => (await import(document.querySelector('[href$="js/quiet.js"]').href)).isQuiet() === quiet;
  await lee.until("it to be quiet", isQuiet, true);
  await kim.say("psst");
  await lee.until("it to be counted", () => document.querySelector(".row .count"));
  await lee.turn("Quiet hours", false);
  await lee.until("it not to be quiet", isQuiet, false);
  await lee.press("Close", "dialog");
  await kim.say("loud");
  assert.equal((await showsOne("loud")).count, 1);
  await lee.open(channel);
  await showsNothing();
});

test("who has closed the app is shown what the node pushes, once, in one notification for each conversation", async () => {
  await leave(lee);
  await kim.say("are you there?");
  const first = await service.next("lee", ({ body }) => body === "are you there?");
  await worker.push(first);
  const { title, channel: where } = await showsOne("are you there?");
  assert.deepEqual([title, where], ["Kim Minji", channel]);
  // The push service, and the node after a crash, may deliver something twice.
  await worker.push(first);
  await kim.say("it is late");
  const second = await service.next("lee", ({ body }) => body === "it is late");
  assert.equal(second.badge, 2);
  await worker.push(second);
  const both = await showsOne("are you there?\nit is late");
  assert.deepEqual([both.count, both.silent], [2, false]);
  // One that was overtaken has its place, and makes no noise.
  await worker.push({ ...second, seq: second.seq - 0.5, body: "in between" });
  assert.equal((await showsOne("are you there?\nin between\nit is late")).silent, true);
});

test("what has no words of its own is said in the language of the app", async () => {
  const group = { v: 1, type: "message", channel: "77", seq: 1, at_ms: Date.now(), title: "Lunch", subtitle: "Kim" };
  const says = async (seq, title, line, more) => {
    await worker.push({ ...group, seq, ...more });
    await shows(line, (all) => all.some((one) => one.channel === "77" && one.title === title && one.body.split("\n").at(-1) === line));
  };
  await says(1, "Lunch", "Kim: hi", { body: "Kim: hi" });
  await says(2, "Lunch", "Kim: Picture", { body: "Picture", loc_key: "SUDA_PICTURE" });
  await says(3, "Lunch", "Kim reacted 👍", { body: "Kim reacted 👍", loc_key: "SUDA_REACTION", loc_args: ["Kim", "👍"] });
  // Nothing that is no push of ours is shown, and nothing breaks.
  for (const nonsense of ["", "{", "null", '{"v":2}', '{"v":1,"type":"later"}']) await worker.push(nonsense);
  await says(4, "suda", "New message", { title: undefined, subtitle: undefined, body: "New message", loc_key: "SUDA_NEW_MESSAGE" });
  await worker.push({ v: 1, type: "read", channel: "77", seq: 3 });
  const { all } = await shows("one line of it", (all) => all.some(({ channel, body }) => channel === "77" && body === "New message"));
  assert.equal(all.length, 2);
  await worker.push({ v: 1, type: "read", channel: "77", seq: 4 });
  await shows("the other one alone", (all) => all.length === 1 && all[0].channel === channel);
});

test("what was read on another device is taken away", async () => {
  const other = await app.visitor();
  await other.logIn("lee");
  await other.open(channel);
  await other.sees("it is late");
  const dismissal = await service.next("lee", ({ type }) => type === "read");
  await worker.push(dismissal);
  await showsNothing();
  // So that nobody takes that device for being there still.
  await other.run(async () => (await import(document.querySelector('[href$="js/session.js"]').href)).client.logOut());
  await other.close();
});

test("a click opens the conversation: in a new window, or where the app is open", async () => {
  await kim.say("click here");
  await worker.push(await service.next("lee", ({ body }) => body === "click here"));
  await showsOne("click here");
  const click = () =>
    worker.run(async () => {
      const opened = [];
      // Only a person's click may do it.
      clients.openWindow = async (path) => void opened.push(path);
      const [notification] = await registration.getNotifications();
      const event = new NotificationEvent("notificationclick", { notification });
      const done = new Promise((resolve) => (event.waitUntil = resolve));
      dispatchEvent(event);
      await (await done);
      return opened;
    });
  assert.deepEqual(await click(), [`/c/${channel}`]);
  await showsNothing();
  await kim.say("and here");
  await worker.push(await service.next("lee", ({ body }) => body === "and here"));
  await showsOne("and here");
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  // What is unread still is not taken away by opening the app.
  await showsOne("and here");
  assert.deepEqual(await click(), []);
  await lee.until("the conversation", (channel) => location.pathname === `/c/${channel}` && document.querySelector("suda-conversation textarea"), channel);
  await lee.sees("and here");
});

test("who has the app before them is told once: not of what they see, and not twice", async () => {
  const { seq } = await kim.run(async (channel) => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    return client.channel(channel).send("you see me").acknowledged;
  }, channel);
  await lee.sees("you see me");
  const push = { v: 1, type: "message", channel, at_ms: Date.now(), title: "Kim Minji" };
  await worker.push({ ...push, seq, body: "you see me" });
  // What the link has not brought yet is shown; then what was pushed before has been looked at.
  await worker.push({ ...push, seq: seq + 50, body: "from the future" });
  await showsOne("from the future");
  await worker.push({ v: 1, type: "read", channel, seq: seq + 50 });
  await showsNothing();

  // In a hidden tab the link and the push both tell.
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  const tab = await lee.window();
  const other = await lee.newTab();
  await lee.switchTo(other);
  await kim.say("twice?");
  await showsOne("twice?");
  const [{ seq: known }] = await worker.run(async () => (await registration.getNotifications())[0].data.lines);
  await worker.push({ ...push, seq: known, body: "twice?" });
  await worker.push({ ...push, seq: known + 1, body: "once" });
  assert.equal((await showsOne("twice?\nonce")).count, 2);
  // Reading it here takes it away too.
  await lee.switchTo(other);
  await lee.closeTab();
  await lee.switchTo(tab);
  await lee.cdp("Page.bringToFront");
  await lee.open(channel);
  await showsOne("once");
});

test("a subscription that the browser replaces while the app is closed is registered, with a renewed login", async () => {
  await leave(lee);
  const from = service.pushed.length;
  const replaced = await worker.run(
    async (old, fresh) => {
      const event = new Event("pushsubscriptionchange");
      Object.assign(event, { oldSubscription: { ...old, toJSON: () => old, options: {} }, newSubscription: null });
      registration.pushManager.subscribe = async ({ applicationServerKey }) => ({ toJSON: () => fresh, applicationServerKey });
      const done = new Promise((resolve) => (event.waitUntil = resolve));
      dispatchEvent(event);
      return (await done) ?? true;
    },
    service.subscriptions.lee,
    service.subscriptions["lee-again"],
  );
  assert.equal(replaced, true);
  await kim.say("to your new address");
  await service.next("lee-again", ({ body }) => body === "to your new address", from);
  assert.deepEqual(messagesFrom(from), [["lee-again", "to your new address"]]);
  // The login that the worker has renewed is the app's.
  await lee.goto(`${lee.way.url}/c/${channel}`);
  await lee.sees("to your new address");
  await lee.online();
});

test("logging out ends the subscription and takes away what is shown", async () => {
  await worker.run(async () => {
    const notice = { channel: "5", seq: 1, atMs: Date.now(), title: "shown", line: "by a tab" };
    dispatchEvent(Object.assign(new ExtendableMessageEvent("message", { data: { suda: "show", notice } }), { waitUntil: () => {} }));
  });
  await shows("something", (all) => all.some(({ body }) => body === "by a tab"));
  await settings(lee);
  await lee.press("Log out", "dialog .buttons");
  await lee.press("Log out", "dialog.narrow");
  await lee.until("the door", () => document.querySelector("suda-auth form"));
  await lee.until("no subscription", () => localStorage.getItem("test:key") === null);
  await showsNothing();
  // Somebody else, in the same browser: the address is theirs now, and what is said to lee goes nowhere.
  await lee.signUp("park");
  await lee.until("a subscription", () => localStorage.getItem("test:key") !== null);
  await lee.until("the address", async () => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    return (await client.http({}, "GET", "devices")).devices[0].push.length === 1;
  });
  const from = service.pushed.length;
  await leave(lee);
  await kim.say("lee, are you still there?");
  await kim.message("park");
  await kim.say("hello, park");
  await service.next("lee", ({ body }) => body === "hello, park", from);
  assert.deepEqual(messagesFrom(from).map(([, body]) => body), ["hello, park"]);
});
