// The chat app in a real browser, against a real node: what two people do in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App } from "./lib/app.js";

let app, kim, lee, channel;

before(async () => {
  app = await App.start();
  [kim, lee] = await Promise.all([app.person("kim", { name: "Kim Minji" }), app.person("lee", { name: "이서준" })]);
});
after(() => app?.stop());

test("two people in two profiles find each other and chat both ways, over WebTransport", async () => {
  channel = await kim.message("lee");
  await kim.say("안녕?");
  await lee.open(channel);
  await lee.sees("안녕?");
  await lee.say("See you at noon.");
  await kim.sees("See you at noon.");
  for (const person of [kim, lee]) assert.equal(await person.online(), "webtransport");
  await kim.receiptIs("안녕?", "read");
});
