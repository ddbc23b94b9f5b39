// The chat app's main screens: no rule of axe-core is broken in light, dark and on a phone; and all can be done with keys alone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { App, KEYS, PASSWORD } from "./lib/app.js";

const axe = readFileSync(resolve(import.meta.dirname, "../../wasm-client/tools/node_modules/axe-core/axe.min.js"), "utf8");
let app, kim, lee;

before(async () => {
  app = await App.start();
  [kim, lee] = [await app.visitor(), await app.person("lee", { name: "Lee" })];
});
after(() => app?.stop());

/** What axe finds wrong. It is put in from outside: the page's policy keeps the page itself from doing so. */
async function violations(browser, screen) {
  await browser.cdp("Runtime.evaluate", { expression: axe });
  const found = await browser.run(async () => {
    await Promise.all(document.getAnimations().map((animation) => (animation.effect.getTiming().iterations === Infinity ? null : animation.finished.catch(() => {}))));
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 160)} ${JSON.stringify(any[0]?.data)?.slice(0, 160) ?? ""}`).join(" | ")}`);
  });
  return found.map((text) => `${screen}: ${text}`);
}

const theme = (browser, theme) => browser.run((theme) => (document.documentElement.dataset.theme = theme), theme);

test("with keys alone: signing up, finding somebody, writing, reacting, going back", async () => {
  await kim.until("the focus in the first field", () => document.activeElement.name === "handle");
  // Two fields and a button before the way to signing up.
  await kim.keys(KEYS.tab, KEYS.tab, KEYS.tab, KEYS.enter);
  await kim.until("signing up", () => document.querySelector("[name=displayName]") && document.activeElement.name === "handle");
  await kim.keys("kim", KEYS.tab, "Kim", KEYS.tab, PASSWORD, KEYS.enter);
  kim.handle = "kim";
  await kim.online();
  await kim.run(() => document.body.focus());
  const tabTo = async (label) => {
    for (let i = 0; i < 30; i++) {
      await kim.keys(KEYS.tab);
      const at = await kim.run(() => (document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim());
      if (at === label) return;
    }
    throw new Error(`no way to "${label}" with the tab key`);
  };
  await tabTo("New conversation");
  await kim.keys(KEYS.enter);
  await kim.until("the dialog", () => document.activeElement.type === "search" && document.activeElement.closest("dialog"));
  await kim.keys("lee");
  await kim.until("lee", () => document.querySelector("dialog .people li"));
  await tabTo("Message");
  await kim.keys(KEYS.enter);
  await kim.until("the box", () => document.activeElement.tagName === "TEXTAREA");
  await kim.keys("hello with keys", KEYS.enter);
  await kim.receiptIs("hello with keys", "sent");
  await kim.keys([KEYS.shift, KEYS.tab]);
  await kim.until("the messages", () => document.activeElement.closest("suda-messages"));
  await kim.keys(KEYS.up, KEYS.enter);
  await kim.until("the menu", () => document.activeElement.closest(".menu"));
  await kim.keys(KEYS.enter);
  await kim.until("the reaction", () => document.querySelector(".reaction[aria-pressed=true]"));
  await kim.until("the focus to be back", () => document.activeElement.closest(".item"));
});

test("axe finds nothing wrong with the main screens, in light, dark and on a phone", async () => {
  const found = [];
  const channel = await kim.channel();
  await lee.open(channel);
  await lee.say("an answer with https://example.org in it");
  await kim.sees("an answer");
  for (const name of ["light", "dark"]) {
    await theme(kim, name);
    found.push(...(await violations(kim, `${name} conversation`)));
    await kim.run(() => document.querySelector(".item .bubble").closest(".item").focus());
    await kim.keys(KEYS.enter);
    found.push(...(await violations(kim, `${name} menu`)));
    await kim.keys(KEYS.escape);
    for (const label of ["Profile and settings", "Friends", "New conversation"]) {
      await kim.press(label, "suda-sidebar");
      await kim.until("its content", () => document.querySelector("dialog[open] .inside :is(li, input)"));
      found.push(...(await violations(kim, `${name} ${label}`)));
      await kim.keys(KEYS.escape);
      await kim.until("no dialog", () => !document.querySelector("dialog"));
    }
    await theme(lee, name);
    await lee.resize(400, 800);
    found.push(...(await violations(lee, `${name} phone`)));
    await lee.press("Back to the list");
    found.push(...(await violations(lee, `${name} phone's list`)));
    await lee.open(channel);
  }
  const door = await app.visitor({ language: "ko" });
  for (const name of ["light", "dark"]) {
    await theme(door, name);
    found.push(...(await violations(door, `${name} door`)));
  }
  assert.equal(await door.run(() => document.documentElement.lang), "ko");
  assert.deepEqual(found, []);
});

test("on the narrowest phones nothing is wider than the screen", async () => {
  await lee.cdp("Emulation.setDeviceMetricsOverride", { width: 320, height: 568, deviceScaleFactor: 2, mobile: true });
  const wide = () => document.documentElement.scrollWidth > innerWidth || [...document.querySelectorAll("suda-chat *")].some((e) => e.checkVisibility() && !e.closest(".unseen, .menu") && e.getBoundingClientRect().right > innerWidth + 1);
  assert.equal(await lee.run(wide), false);
  await lee.press("Back to the list");
  assert.equal(await lee.run(wide), false);
});
