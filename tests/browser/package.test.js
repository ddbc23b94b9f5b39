// The package in a real browser, against a real node.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Setting, say, sees } from "./lib/setting.js";

let setting, kim, lee, channel;

before(async () => {
  setting = await Setting.start();
  [kim, lee] = [await setting.person("kim"), await setting.person("lee")];
  channel = await setting.between(kim, lee);
});
after(() => setting?.stop());

test("two people in two profiles chat both ways, over WebTransport", async () => {
  for (const person of [kim, lee]) assert.equal(await person.run(() => page.online()), "webtransport");
  await say(kim, channel, "안녕?");
  await sees(lee, channel, "안녕?");
  await say(lee, channel, "See you at noon.");
  await sees(kim, channel, "See you at noon.");
  assert.deepEqual(await kim.run((channel) => page.texts(channel), channel), ["안녕?", "See you at noon."]);
});
