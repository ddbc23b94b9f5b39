// The chat app among people: friends, who was there last, what is refused and tried again, the days of a conversation.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App } from "./lib/app.js";

let app, kim, lee, channel;

before(async () => {
  app = await App.start({ "session.presence_grace_ms": 200 });
  kim = await app.person("kim", { name: "Kim Minji", before: yesterday });
  lee = await app.person("lee", { name: "이서준" });
  channel = await kim.message("lee");
  await kim.say("hello");
  await lee.open(channel);
  await lee.sees("hello");
});
after(() => app?.stop());

/** In a page: what the client says of messages that are to be old is a day older. A test can't wait for midnight. */
function yesterday() {
  const parse = JSON.parse;
  const older = (value) => {
    if (Array.isArray(value)) value.forEach(older);
    else if (value && typeof value === "object") {
      if (value.what?.message?.body?.text?.startsWith("yesterday")) value.at_ms -= 86_400_000;
      Object.values(value).forEach(older);
    }
    return value;
  };
  JSON.parse = (text, ...rest) => (typeof text === "string" && text.includes('"yesterday') ? older(parse(text, ...rest)) : parse(text, ...rest));
}

test("friends: asked, accepted, seen on both sides, and no longer", async () => {
  await kim.press("Friends", "suda-sidebar");
  await kim.fill("dialog input[type=search]", "lee");
  await kim.press("Ask to be friends", "dialog");
  await kim.until("it to be said", () => [...document.querySelectorAll("dialog h3")].some(({ textContent }) => textContent === "You asked"));
  await lee.until("the request to be counted", () => document.querySelector("suda-sidebar [aria-label='Friends, 1 request']"));
  await lee.press("Friends, 1 request", "suda-sidebar");
  await lee.press("Accept", "dialog");
  const areFriends = (name) => [...document.querySelectorAll("dialog section")].some((part) => part.querySelector("h3").textContent === "Friends" && part.querySelector("li")?.textContent.includes(name));
  await lee.until("the friend", areFriends, "Kim Minji");
  await kim.until("the friend", areFriends, "이서준");
  await lee.until("that she is there", () => document.querySelector("dialog").textContent.includes("Online"));
  await kim.press("Remove", "dialog");
  await kim.press("Remove", "dialog.narrow");
  await lee.until("no friend", () => document.querySelector("dialog").textContent.includes("None yet"));
  for (const person of [kim, lee]) await person.press("Close", "dialog");
});

test("a message that is refused says so, and goes out when it is tried again", async () => {
  const other = (person) => person.run(async () => (await import(document.querySelector('[href$="js/session.js"]').href)).client.channels[0].peer);
  const block = (on) =>
    lee.run(async (user, on) => {
      const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
      await (on ? client.friends.block(user) : client.friends.unblock(user));
    }, kim.id, on);
  kim.id = await other(lee);
  await block(true);
  await kim.say("can you hear me?");
  await kim.until("the failure", () => [...document.querySelectorAll(".item.own")].at(-1).textContent.includes("Not sent."));
  const unsent = () => [...document.querySelectorAll(".item.own")].filter(({ textContent }) => textContent.includes("Not sent.")).map((item) => item.querySelector(".text").textContent);
  const count = (count) => [...document.querySelectorAll(".item.own")].filter(({ textContent }) => textContent.includes("Not sent.")).length === count;
  const others = ["nor this", "nor that", "nor those"];
  for (const [index, text] of others.entries()) {
    await kim.say(text);
    await kim.until("the failure", count, index + 2);
  }
  // A reload forgets none, nor their order.
  await kim.reload();
  await kim.until("all failures", count, 4);
  assert.deepEqual(await kim.run(unsent), ["can you hear me?", ...others]);
  for (const left of [3, 2, 1]) {
    await kim.press("Discard", ".item.own:last-child");
    await kim.until("one failure less", count, left);
  }
  await block(false);
  await kim.press("Try again", ".item.own:last-child");
  await lee.sees("can you hear me?");
  await kim.receiptIs("can you hear me?", "read");
  assert.deepEqual((await lee.texts()).slice(-1), ["can you hear me?"]);
});

test("a line stands between days", async () => {
  await kim.say("yesterday it rained");
  await kim.say("and today?");
  await kim.sees("and today?");
  const seen = () => [...document.querySelectorAll(".scroller :is(.day, .text)")].map(({ textContent }) => textContent);
  await kim.until("the line", () => document.querySelectorAll(".day").length >= 2);
  const texts = await kim.run(seen);
  const [today, old] = ["today", "yesterday"].map((word) => texts.findLastIndex((text) => text.toLowerCase() === word));
  assert.equal(texts[old + 1], "yesterday it rained", `${texts}`);
  assert.equal(texts[today + 1], "and today?", `${texts}`);
});

test("who has gone was last seen just now", async () => {
  await kim.until("the peer to be online", () => document.querySelector("suda-conversation .under").textContent === "Online");
  await lee.goto("about:blank");
  await kim.until("when they were there", () => document.querySelector("suda-conversation .under").textContent === "Last seen just now");
  await kim.until("the dot", () => document.querySelector("suda-sidebar .row .dot").dataset.status === "offline");
});
