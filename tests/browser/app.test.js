// The chat app in a real browser, against a real node: what people do in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App, KEYS } from "./lib/app.js";

let app, kim, lee, channel;

before(async () => {
  app = await App.start();
  [kim, lee] = await Promise.all([app.person("kim", { name: "Kim Minji" }), app.person("lee", { name: "이서준" })]);
});
after(() => app?.stop());

test("two people in two profiles find each other and chat both ways, over WebTransport", async () => {
  channel = await kim.message("lee");
  await kim.say("안녕?");
  // Also of somebody who was online before there was a conversation.
  await lee.until("the other's dot in the list", () => document.querySelector("suda-sidebar .row .dot")?.dataset.status === "online");
  await lee.open(channel);
  await lee.sees("안녕?");
  await lee.say("See you at noon.");
  await kim.sees("See you at noon.");
  for (const person of [kim, lee]) assert.equal(await person.online(), "webtransport");
  await kim.receiptIs("안녕?", "read");
});

test("presence, typing, reactions, answers, edits and deletion are seen on the other side", async () => {
  await kim.until("the peer to be online", () => document.querySelector("suda-conversation .under").textContent === "Online");
  await kim.until("the dot", () => document.querySelector("suda-sidebar .row .dot")?.dataset.status === "online");
  await kim.fill("suda-composer textarea", "hm");
  await lee.until("typing", () => document.querySelector(".typing.on")?.textContent.includes("Kim Minji"));

  await kim.say("first draft");
  await kim.receiptIs("first draft", "read");
  // The arrow up edits the last one, as in a shell.
  await kim.keys(KEYS.up);
  await kim.until("editing", () => document.querySelector("suda-composer textarea").value === "first draft");
  await kim.keys("!", KEYS.enter);
  await lee.sees("first draft!");
  await lee.until("that it was edited", () => [...document.querySelectorAll(".item")].at(-1).querySelector(".meta").textContent.includes("edited"));

  await lee.run(() => document.querySelector(".scroller").focus());
  await lee.keys(KEYS.up, KEYS.enter);
  await lee.press("React with 👍", ".menu");
  await kim.until("the reaction", () => document.querySelector(".item.own .reaction")?.textContent === "👍1");
  await lee.run(() => document.querySelector(".scroller").focus());
  await lee.keys(KEYS.up, KEYS.enter);
  await lee.press("Reply", ".menu");
  await lee.keys("fine", KEYS.enter);
  await kim.until("the quote", () => document.querySelector(".item.other .quote")?.textContent.includes("first draft!"));

  await kim.run(() => [...document.querySelectorAll(".item.own")].at(-1).focus());
  await kim.keys(KEYS.enter);
  await kim.press("Delete", ".menu");
  await kim.press("Delete", "dialog");
  await lee.until("the deletion", () => [...document.querySelectorAll(".bubble.deleted")].length === 1);
  await lee.until("the quote to say so", () => document.querySelector(".item.own .quote")?.textContent.includes("Message deleted"));
});

test("text never becomes markup, and the page's policy blocks what is inline", async () => {
  const tries = ['<img src=x onerror="window.bad=1">', "<script>window.bad=1</script>", "javascript:window.bad=1", "<b>bold</b> &amp; <a href='javascript:bad'>", "https://example.org/?a=\"onmouseover=bad"];
  for (const text of tries) await kim.say(text);
  await lee.sees(tries.at(-1));
  const texts = await lee.texts();
  for (const text of tries) assert.ok(texts.includes(text), text);
  const found = await lee.run(async () => {
    const blocked = [];
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => blocked.push(effectiveDirective));
    const strings = [];
    // In a task of the page's own: what the debugger runs may do more.
    await new Promise((resolve) => setTimeout(resolve));
    for (const act of [() => (document.body.innerHTML = "<p>"), () => eval("window.bad = 2"), () => document.write("<p>"), () => (document.createElement("script").src = "https://example.org/x.js"), () => new Worker("https://example.org/x.js")]) {
      try {
        act();
        strings.push("done");
      } catch {
        strings.push("refused");
      }
    }
    const script = document.createElement("script");
    try {
      script.append("window.bad = 3");
      document.body.append(script);
    } catch {
      // Refused, as it should be.
    }
    const style = document.createElement("div");
    style.setAttribute("style", "color: red");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const inMessages = document.querySelectorAll(".text img, .text script, .text b, .text [onmouseover], .text a:not([href^='https://'])").length;
    return { bad: window.bad ?? null, strings, inMessages, styled: style.style.color, blocked };
  });
  assert.deepEqual([found.bad, found.inMessages, found.styled], [null, 0, ""], JSON.stringify(found));
  assert.deepEqual(found.strings, ["refused", "refused", "refused", "refused", "refused"]);
  assert.ok(found.blocked.includes("style-src-attr"), `${found.blocked}`);
});

test("a message of 100,000 characters is sent, and shown in part until wanted", async () => {
  await kim.paste("가".repeat(100_000));
  await lee.until("its beginning", () => [...document.querySelectorAll(".item")].at(-1)?.querySelector(".whole"));
  await lee.press("Show all 100,000 characters");
  await lee.until("all of it", () => [...document.querySelectorAll(".item .text")].at(-1).textContent.length === 100_000);
  await kim.paste("가".repeat(100_001));
  await kim.until("the refusal", () => document.querySelector("suda-composer .trouble:not([hidden])")?.textContent.includes("100,000"));
  await kim.fill("suda-composer textarea", "short");
  await kim.keys(KEYS.enter);
  await lee.sees("short");
});

test("drafts stay with their conversation, over reloads", async () => {
  await kim.fill("suda-composer textarea", "not yet sent");
  await kim.until("it to be listed", () => document.querySelector(".row .draft"));
  await kim.goto(`${kim.way.url}/c/${channel}`);
  await kim.until("the draft", () => document.querySelector("suda-composer textarea")?.value === "not yet sent");
  await kim.run(() => document.querySelector("suda-composer textarea").focus());
  await kim.keys(KEYS.enter);
  await lee.sees("not yet sent");
  await kim.until("no draft", () => !document.querySelector(".row .draft"));
});

test("a group: made from a dialog, with mentions, roles and an invitation", async () => {
  await kim.press("New conversation", "suda-sidebar");
  await kim.fill("dialog input[type=search]", "lee");
  await kim.press("Add to group", "dialog");
  await kim.fill("dialog [name=title]", "Lunch");
  await kim.press("Make the group", "dialog");
  await kim.until("the group", () => document.querySelector("suda-conversation h1")?.textContent === "Lunch" && !document.querySelector("dialog"));
  const group = await kim.channel();
  await kim.run(() => document.querySelector("suda-composer textarea").focus());
  await kim.keys("hi @le");
  await kim.until("the list of members", () => document.querySelector(".mentions li")?.textContent.includes("@lee"));
  await kim.keys(KEYS.enter, "!", KEYS.enter);
  await lee.until("the group", (group) => document.querySelector(`a[data-channel="${group}"] .count`), group);
  await lee.open(group);
  await lee.until("the mention", () => document.querySelector(".item.mentioned .mention.mine")?.textContent === "@lee");
  await kim.press("About this conversation");
  await kim.press("Make a link", "dialog");
  await kim.until("the link", () => document.querySelector("dialog .invite input")?.value.includes("/join/"));
  const path = await kim.run(() => new URL(document.querySelector("dialog .invite input").value).pathname);
  await kim.keys(KEYS.escape);

  const park = await app.person("park", { path, name: "Park Jiwoo", width: 420, height: 800 });
  await park.press("Join", "dialog");
  await park.until("the group", (group) => location.pathname === `/c/${group}`, group);
  await park.sees("hi @lee !");
  await park.say("hello from a phone");
  await lee.sees("hello from a phone");
  // On a phone there is one pane at a time.
  assert.equal(await park.run(() => document.querySelector("suda-sidebar").checkVisibility()), false);
  await park.press("Back to the list");
  await park.until("the list", () => document.querySelector("suda-sidebar").checkVisibility() && !document.querySelector("suda-conversation"));
  await park.close();
  await kim.open(channel);
  await lee.open(channel);
});

test("going back through history by scrolling, jumping to a quote, to the unread and to the newest", async () => {
  // Sent through the app's own client, to be quick about it.
  const count = await kim.run(async (channel) => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    const it = client.channel(channel);
    const first = await it.send("number 0").acknowledged;
    await Promise.all(Array.from({ length: 250 }, (_, n) => it.send(`number ${n + 1}`).acknowledged));
    await it.send("what was the first?", { replyTo: first.seq }).acknowledged;
    return 252;
  }, channel);
  await lee.sees("what was the first?");
  await lee.press("New conversation", "suda-sidebar");
  await lee.keys(KEYS.escape);
  await lee.press("Go to the message that this answers", ".item.other:last-child");
  await lee.until("the first", () => [...document.querySelectorAll(".item")].some((item) => item.querySelector(".text")?.textContent === "number 0" && item.checkVisibility()));
  await lee.press("To the newest message");
  await lee.until("the end", () => {
    const { scrollHeight, scrollTop, clientHeight } = document.querySelector(".scroller");
    return scrollHeight - scrollTop - clientHeight < 50;
  });
  const walked = await lee.run(async () => {
    const scroller = document.querySelector(".scroller");
    let most = 0;
    const seen = new Set();
    for (let i = 0; i < 200 && !(document.querySelector(".first-of-all") && scroller.scrollTop === 0); i++) {
      scroller.scrollTop -= 600;
      await new Promise((resolve) => setTimeout(resolve, 30));
      most = Math.max(most, document.querySelectorAll(".item").length);
      for (const { textContent } of document.querySelectorAll(".item .text")) seen.add(textContent);
    }
    return { most, seen: [...seen].filter((text) => /^number \d+$/.test(text)).length, days: document.querySelectorAll(".day").length };
  });
  assert.equal(walked.seen, 251, JSON.stringify(walked));
  assert.ok(walked.most < 250, `${walked.most} rows were in the page at once of ${count}`);
  assert.equal(walked.days, 1);

  // Away, and back to where it was left.
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  await kim.run(async (channel) => {
    const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
    await Promise.all(Array.from({ length: 120 }, (_, n) => client.channel(channel).send(`missed ${n}`).acknowledged));
  }, channel);
  await lee.until("the count", () => document.querySelector(".row .count")?.textContent.startsWith("120"));
  await lee.open(channel);
  await lee.until("the line", () => {
    const line = document.querySelector(".item .new")?.getBoundingClientRect();
    return line && line.top > 0 && line.bottom < innerHeight;
  });
  assert.equal(await lee.run(() => document.querySelector(".item .new").parentElement.querySelector(".text").textContent), "missed 0");
  await lee.press("To the newest message");
  await lee.until("it to be read", () => !document.querySelector(".row .count"));
});

test("only one of two tabs notifies, and none of what is being looked at", async () => {
  const watch = () => {
    window.told = [];
    window.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, options) {
        window.told.push([title, options.body]);
      }
      close() {}
    };
  };
  const first = await lee.window();
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  await lee.run(watch);
  const second = await lee.newTab();
  await lee.switchTo(second);
  await lee.goto(`${lee.way.url}/`);
  await lee.online();
  await lee.run(watch);
  await kim.say("are you there?");
  const told = async () => {
    const counts = [];
    for (const tab of [first, second]) {
      await lee.switchTo(tab);
      counts.push(await lee.run(() => window.told.filter(([, body]) => body === "are you there?").length));
    }
    return counts.sort().join();
  };
  await lee.until("the count", () => document.title.startsWith("("));
  await lee.switchTo(first);
  await lee.until("the count", () => document.title.startsWith("("));
  assert.equal(await told(), "0,1");
  await lee.switchTo(second);
  await lee.cdp("Page.bringToFront");
  await lee.open(channel);
  await kim.say("now you look");
  await lee.sees("now you look");
  await kim.receiptIs("now you look", "read");
  for (const tab of [first, second]) {
    await lee.switchTo(tab);
    assert.deepEqual(await lee.run(() => window.told.filter(([, body]) => body === "now you look")), []);
  }
  await lee.switchTo(first);
  await lee.closeTab();
  await lee.switchTo(second);
});

test("the consoles have said nothing wrong", async () => {
  for (const person of [kim, lee]) {
    await person.console();
    const expected = /Failed to load resource|Content Security Policy|TrustedHTML|TrustedScript|requires 'Trusted|status of 404/;
    assert.deepEqual(person.errors.filter((text) => !expected.test(text)), []);
  }
});
