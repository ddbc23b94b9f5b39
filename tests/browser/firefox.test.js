// The app in Firefox: a smoke. What it lacks is said in the reason for which it is skipped.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App } from "./lib/app.js";
import { Firefox, lacking } from "./lib/firefox.js";

let app, firefox, kim, lee;

before(async () => {
  if (lacking) return;
  app = await App.start();
  firefox = await Firefox.start();
});
after(async () => {
  await firefox?.stop();
  await app?.stop();
});

test("somebody with Firefox and somebody with Chromium chat both ways", { skip: lacking }, async (t) => {
  lee = await app.person("lee");
  kim = await app.visitorIn(firefox);
  await kim.signUp("kim");
  t.diagnostic(`Firefox is connected by ${await kim.online()}`);
  const channel = await kim.message("lee");
  await kim.say("from Firefox");
  await lee.open(channel);
  await lee.sees("from Firefox");
  await kim.receiptIs("from Firefox", "read");
  await lee.say("from Chromium");
  await kim.sees("from Chromium");
});

test("in Firefox a killed node and a reload lose nothing", { skip: lacking }, async () => {
  await app.node.kill();
  await kim.until("the strip", () => !document.querySelector("suda-link.strip").hidden);
  await kim.say("while it was away");
  await kim.receiptIs("while it was away", "waiting");
  await app.node.restart();
  for (const person of [kim, lee]) {
    await person.tryNow();
    await person.online();
  }
  await lee.sees("while it was away");
  await kim.reload();
  await kim.sees("from Chromium");
  await kim.online();
  await kim.until("one of it", () => [...document.querySelectorAll(".item .text")].filter(({ textContent }) => textContent === "while it was away").length === 1);
  assert.equal((await lee.texts()).filter((text) => text === "while it was away").length, 1);
});
