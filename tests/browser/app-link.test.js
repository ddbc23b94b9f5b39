// The chat app when the way to the node fails, the node goes away, or a login runs out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App, PASSWORD } from "./lib/app.js";

let app, kim, lee, channel;

before(async () => {
  app = await App.start({ "accounts.access_token_ms": 10_000, "session.token_warning_ms": 2_000 });
  [kim, lee] = await Promise.all([app.person("kim"), app.person("lee")]);
  channel = await kim.message("lee");
  await kim.say("hello");
  await lee.open(channel);
  await lee.sees("hello");
});
after(() => app?.stop());

test("a tab that is hidden gets on with it, and is right when it is shown", async () => {
  const chat = await lee.window();
  const other = await lee.newTab();
  await lee.switchTo(other);
  await kim.say("while you look elsewhere");
  await kim.receiptIs("while you look elsewhere", "delivered");
  await lee.switchTo(chat);
  await lee.sees("while you look elsewhere");
  await lee.switchTo(other);
  await lee.closeTab();
  await lee.switchTo(chat);
  await lee.cdp("Page.bringToFront");
  await kim.receiptIs("while you look elsewhere", "read");
});

test("where UDP stops getting through, the same page goes on over WebSocket, and says so", async () => {
  assert.equal(await kim.online(), "webtransport");
  await kim.run(() => (window.samePage = true));
  app.udp.blocked = true;
  await kim.say("through the wall");
  for (const person of [kim, lee]) await person.online("websocket");
  await lee.sees("through the wall");
  assert.ok(await kim.run(() => window.samePage));
  assert.match(await kim.run(() => document.querySelector("suda-sidebar suda-link").textContent), /WebSocket/);
});

test("what is sent offline is shown as waiting, and goes out by itself", async () => {
  await kim.offline(true);
  kim.way.cut(true);
  await kim.until("the strip", () => document.querySelector("suda-link.strip:not([hidden])")?.dataset.state === "offline");
  await kim.say("from the tunnel");
  await kim.receiptIs("from the tunnel", "waiting");
  kim.way.cut(false);
  await kim.offline(false);
  await lee.sees("from the tunnel");
  await kim.receiptIs("from the tunnel", "read");
  await kim.until("no strip", () => document.querySelector("suda-link.strip").hidden);
});

test("a node that is killed and comes back: both catch up, nothing is doubled", async () => {
  await app.node.kill();
  await kim.until("the strip", () => !document.querySelector("suda-link.strip").hidden);
  await kim.say("while it was away");
  await app.node.restart();
  for (const person of [kim, lee]) {
    await person.tryNow();
    await person.online();
  }
  await lee.sees("while it was away");
  assert.equal((await lee.texts()).filter((text) => text === "while it was away").length, 1);
});

test("a reload shows names and history at once, from what is kept, before the server has answered", async () => {
  await lee.cdp("Network.enable");
  await lee.cdp("Network.setBlockedURLs", { urls: ["*/v1/*"] });
  await lee.reload();
  await lee.sees("while it was away");
  const shown = await lee.run(() => ({ title: document.querySelector("suda-conversation h1").textContent, state: document.querySelector("suda-sidebar suda-link").dataset.state }));
  assert.equal(shown.title, "kim");
  assert.notEqual(shown.state, "online");
  await lee.cdp("Network.setBlockedURLs", { urls: [] });
  await lee.tryNow();
  await lee.online();
});

test("a login that runs out is renewed without anybody noticing; one that is ended elsewhere leads to the door", async () => {
  await kim.until("two tokens to have run out", () => performance.now() > 21_000);
  await kim.say("with a new token");
  await lee.sees("with a new token");
  await kim.press("Friends", "suda-sidebar");
  await kim.until("an answer", () => document.querySelector("dialog h3"));
  assert.equal(await kim.run(() => document.querySelector("dialog .trouble").textContent), "");

  const other = await app.visitor();
  await other.logIn("kim");
  await other.press("Profile and settings", "suda-sidebar");
  await other.press("Log out", "dialog .people");
  await kim.until("the door", () => document.querySelector("suda-auth .trouble")?.textContent.includes("logged out"));
  await kim.fill("[name=handle]", "kim");
  await kim.fill("[name=password]", PASSWORD);
  await kim.click("form button[type=submit]");
  await kim.online();
  await kim.sees("with a new token").catch(() => kim.open(channel));
  await kim.sees("with a new token");
});

test("a page that wakes from sleep notices at once that its link is dead", async () => {
  app.udp.blocked = false;
  await kim.reload();
  await kim.online("webtransport");
  await kim.cdp("Page.setWebLifecycleState", { state: "frozen" });
  app.udp.blocked = true;
  await kim.cdp("Page.setWebLifecycleState", { state: "active" });
  const noticed = await kim.run(async () => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    const since = performance.now();
    while (client.link.transport === "webtransport" && performance.now() - since < 20_000) await new Promise((resolve) => setTimeout(resolve, 20));
    return performance.now() - since;
  });
  // Heartbeats alone would take longer: one each 5 s, and then as long for the answer.
  assert.ok(noticed < 5_000, `it took ${noticed} ms`);
  await kim.online("websocket");
});
