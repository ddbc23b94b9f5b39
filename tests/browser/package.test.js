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

test("reactions, edits, answers, mentions, deletion, typing and receipts arrive", async () => {
  const { seq } = await say(kim, channel, "first draft");
  await kim.run(async (channel, seq) => {
    const it = page.client.channel(channel);
    await it.edit(seq, "second draft").acknowledged;
  }, channel, seq);
  await sees(lee, channel, "second draft");
  await lee.run(async (channel, seq, user) => {
    const it = page.client.channel(channel);
    await it.react(seq, "👍").acknowledged;
    await it.send("@kim fine", { replyTo: seq, mentions: [user] }).acknowledged;
    it.markRead();
  }, channel, seq, kim.user);
  const item = (channel, seq) => page.timelines[channel].items.find((item) => item.seq === seq);
  await kim.until("the reaction", (channel, seq) => page.timelines[channel].items.find((i) => i.seq === seq)?.reactions[0]?.emoji === "👍", channel, seq);
  await kim.until("the mention", (channel, seq) => page.timelines[channel].items.some((i) => i.mentionsMe && i.replyTo === seq), channel, seq);
  await kim.until("the receipt", (channel, seq) => page.client.channel(channel).receiptOf(seq).readBy.length === 1, channel, seq);
  await lee.run((channel) => page.client.channel(channel).setTyping(), channel);
  await kim.until("typing", (channel) => page.client.channel(channel).typing.length === 1, channel);
  const thread = await kim.run(async (channel, seq) => {
    const thread = page.client.channel(channel).thread(seq);
    await thread.ready;
    const texts = thread.items.map((item) => item.text);
    thread.close();
    return texts;
  }, channel, seq);
  assert.ok(thread.includes("@kim fine"), `${thread}`);
  await kim.run((channel, seq) => page.client.channel(channel).delete(seq).acknowledged, channel, seq);
  await lee.until("the deletion", (channel, seq) => page.timelines[channel].items.find((i) => i.seq === seq)?.deleted, channel, seq);
  assert.equal((await lee.run(item, channel, seq)).text, null);
});

test("a message of 100,000 characters arrives whole, and one more is refused at once", async () => {
  await kim.run((channel) => page.client.channel(channel).send("가".repeat(100_000)).acknowledged, channel);
  await lee.until("the long message", (channel) => page.texts(channel).some((text) => text === "가".repeat(100_000)), channel);
  const code = await kim.run((channel) => {
    try {
      page.client.channel(channel).send("가".repeat(100_001));
    } catch (error) {
      return [error instanceof page.suda.ServerError, error.code, error.retryable];
    }
  }, channel);
  assert.deepEqual(code, [true, "too_large", false]);
});

test("where UDP stops getting through, the same page goes on over WebSocket, and nothing is lost", async () => {
  const sent = await kim.run((channel) => {
    window.stream = { n: 0, acks: [] };
    window.stream.timer = setInterval(() => {
      window.stream.acks.push(page.client.channel(channel).send(`during ${window.stream.n++}`).acknowledged);
    }, 50);
    return true;
  }, channel);
  assert.ok(sent);
  await sees(lee, channel, "during 3");
  setting.udp.blocked = true;
  for (const person of [kim, lee]) await person.until("WebSocket", () => page.online() === "websocket");
  const count = await kim.run(async () => {
    clearInterval(window.stream.timer);
    await Promise.all(window.stream.acks);
    return window.stream.n;
  });
  await sees(lee, channel, `during ${count - 1}`);
  const seen = await lee.run((channel) => page.texts(channel).filter((text) => text?.startsWith("during")), channel);
  assert.deepEqual(seen, Array.from({ length: count }, (_, n) => `during ${n}`));
});

test("what is sent while offline goes out when the network is back, in order", async () => {
  await kim.offline(true);
  kim.way.cut(true);
  await kim.until("it to be noticed", () => page.client.link.state === "offline");
  await kim.run((channel) => {
    window.sent = [1, 2, 3].map((n) => page.client.channel(channel).send(`offline ${n}`));
  }, channel);
  await kim.until("them to be shown", (channel) => page.texts(channel).includes("offline 3"), channel);
  assert.deepEqual((await kim.run((channel) => page.deliveries(channel), channel)).slice(-3), ["waiting", "waiting", "waiting"]);
  kim.way.cut(false);
  await kim.offline(false);
  await kim.run(() => Promise.all(window.sent.map((sending) => sending.acknowledged)));
  await sees(lee, channel, "offline 3");
  const seen = await lee.run((channel) => page.texts(channel).filter((text) => text?.startsWith("offline")), channel);
  assert.deepEqual(seen, ["offline 1", "offline 2", "offline 3"]);
});

test("a node that is killed and comes back loses nothing", async () => {
  await setting.node.kill();
  for (const person of [kim, lee]) await person.until("it to be noticed", () => !page.online());
  await kim.run((channel) => void (window.waiting = page.client.channel(channel).send("while it was away")), channel);
  await setting.node.restart();
  for (const person of [kim, lee]) {
    await person.run(() => page.client.reconnect());
    await person.until("the link", () => page.online());
  }
  await kim.run(() => window.waiting.acknowledged);
  await sees(lee, channel, "while it was away");
  const texts = await lee.run((channel) => page.texts(channel).filter((text) => text === "while it was away").length, channel);
  assert.equal(texts, 1);
});

test("a reload shows history at once, from the cache, without the server's answer", async () => {
  const before = await lee.run((channel) => page.texts(channel), channel);
  assert.ok(before.length > 5);
  await lee.cdp("Network.enable");
  await lee.cdp("Network.setBlockedURLs", { urls: ["*/v1/*"] });
  await lee.reload();
  await lee.until("the page", () => Boolean(window.page));
  const session = await lee.run(() => page.open());
  assert.equal(session.userId, lee.user);
  const shown = await lee.run(async (channel) => {
    page.show(channel);
    await page.timelines[channel].ready;
    return { texts: page.texts(channel), link: page.client.link.state, listed: page.client.channels.map(({ id }) => id) };
  }, channel);
  assert.deepEqual(shown.texts.slice(-5), before.slice(-5));
  assert.notEqual(shown.link, "online");
  assert.ok(shown.listed.includes(channel));
  await lee.cdp("Network.setBlockedURLs", { urls: [] });
  await lee.run(() => page.client.reconnect());
  await lee.until("the link", () => page.online());
});

test("what was sent before a reload and not acknowledged goes out after it", async () => {
  await kim.offline(true);
  kim.way.cut(true);
  await kim.until("it to be noticed", () => page.client.link.state === "offline");
  await kim.run((channel) => void page.client.channel(channel).send("before the reload"), channel);
  await kim.until("it to be shown", (channel) => page.texts(channel).includes("before the reload"), channel);
  await kim.cdp("Network.setBlockedURLs", { urls: ["*/v1/*"] });
  kim.way.cut(false);
  await kim.offline(false);
  await kim.reload();
  await kim.until("the page", () => Boolean(window.page));
  await kim.run(async (channel) => {
    await page.open();
    page.show(channel);
  }, channel);
  await kim.until("it to be shown again", (channel) => page.texts(channel).includes("before the reload"), channel);
  await kim.cdp("Network.setBlockedURLs", { urls: [] });
  await kim.run(() => page.client.reconnect());
  await sees(lee, channel, "before the reload");
  const times = await lee.run((channel) => page.texts(channel).filter((text) => text === "before the reload").length, channel);
  assert.equal(times, 1);
});

test("tabs share one link, one of them notifies, and one takes over when the other goes", async () => {
  const first = await lee.window();
  const second = await lee.newTab();
  await lee.switchTo(second);
  await lee.goto(lee.way.url);
  await lee.until("the page", () => Boolean(window.page));
  // The lock by which the other tab sees that this one is there may come late. Until then it must not be taken for gone.
  await lee.run(() => {
    const { request } = LockManager.prototype;
    LockManager.prototype.request = async function (name, ...rest) {
      if (/:[0-9a-f-]{36}$/.test(name)) await new Promise((resolve) => setTimeout(resolve, 500));
      return request.call(this, name, ...rest);
    };
  });
  const session = await lee.run(() => page.open());
  assert.equal(session.userId, lee.user);
  await lee.until("the link of the other tab", () => page.online());
  await lee.run((channel) => page.show(channel), channel);
  await lee.run((channel) => page.client.channel(channel).send("from the second tab").acknowledged, channel);
  await sees(kim, channel, "from the second tab");
  await say(kim, channel, "who is told?");
  await sees(lee, channel, "who is told?");
  const notices = (seen) => seen.filter(({ text }) => text === "who is told?").length;
  const here = notices(await lee.run(() => page.notices));
  await lee.switchTo(first);
  await sees(lee, channel, "who is told?");
  await lee.until("the notice", () => page.notices.some(({ text }) => text === "who is told?"));
  assert.deepEqual([notices(await lee.run(() => page.notices)), here], [1, 0]);
  const devices = await lee.run(() => page.client.devices.list());
  assert.equal(devices.length, 1);
  await lee.closeTab();
  await say(kim, channel, "between the two");
  await lee.switchTo(second);
  await lee.until("the notice", () => page.notices.some(({ text }) => text === "between the two"));
  await lee.run((channel) => page.client.channel(channel).send("the second tab alone").acknowledged, channel);
  await sees(kim, channel, "the second tab alone");
  await sees(lee, channel, "the second tab alone");
  await say(kim, channel, "and now?");
  await lee.until("the notice", () => page.notices.some(({ text }) => text === "and now?"));
});

test("going back in a channel, jumping in it, and coming back to the newest", async () => {
  const numbers = Array.from({ length: 300 }, (_, n) => `number ${n}`);
  const group = await kim.run(async (user, texts) => {
    const channel = await page.client.createChannel({ title: "Numbers", members: [user] });
    await Promise.all(texts.map((text) => channel.send(text).acknowledged));
    return channel.id;
  }, lee.user, numbers);
  const fresh = await setting.again(lee);
  await fresh.run((group) => page.show(group), group);
  await sees(fresh, group, "number 299");
  const walked = await fresh.run(async (group) => {
    const timeline = page.timelines[group];
    while (timeline.hasOlder) await timeline.loadOlder();
    return page.texts(group);
  }, group);
  assert.deepEqual(walked, numbers);
  const jumped = await fresh.run(async (group) => {
    const timeline = page.client.channel(group).timeline();
    await timeline.ready;
    const item = await timeline.jumpTo({ seq: 20 });
    const there = { seq: item.seq, hasNewer: timeline.hasNewer };
    while (timeline.hasNewer) await timeline.loadNewer();
    const texts = timeline.items.filter((item) => item.type === "message").map((item) => item.text);
    const back = await timeline.jumpTo("newest");
    return { ...there, last: texts.at(-1), ordered: timeline.items.every((item, i, all) => i === 0 || all[i - 1].seq < item.seq), back: back.text };
  }, group);
  assert.deepEqual(jumped, { seq: 20, hasNewer: jumped.hasNewer, last: "number 299", ordered: true, back: "number 299" });
  const unread = await fresh.run(async (group) => {
    const timeline = page.client.channel(group).timeline({ at: "unread" });
    const first = await timeline[Symbol.asyncIterator]().next();
    return { firstUnread: timeline.firstUnread, some: first.value.items.length > 0 };
  }, group);
  assert.ok(unread.some && unread.firstUnread > 0);
  await fresh.close();
});

test("the consoles have said nothing wrong", async () => {
  for (const person of [kim, lee]) {
    await person.console();
    const expected = /Failed to load resource|net::ERR|WebSocket connection to|Failed to establish a connection to|WebTransport/;
    assert.deepEqual(person.errors.filter((text) => !expected.test(text)), []);
  }
});
