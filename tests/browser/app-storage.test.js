// The app where the browser keeps nothing: it goes on in memory, and says so.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { App } from "./lib/app.js";

let app, lee;

before(async () => {
  app = await App.start();
  lee = await app.person("lee");
});
after(() => app?.stop());

const inMemory = (person) => person.until("it to be said", () => document.querySelector("suda-sidebar suda-link .memory")?.textContent === "Not kept on this device");

test("where IndexedDB and localStorage are refused, as in some private windows, one chats as long as the page lasts", async () => {
  const refuse = () => {
    const refused = () => {
      throw new DOMException("The operation is insecure.", "SecurityError");
    };
    IDBFactory.prototype.open = refused;
    Object.defineProperty(window, "localStorage", { get: refused });
  };
  const kim = await app.person("kim", { before: refuse });
  await inMemory(kim);
  const channel = await kim.message("lee");
  await kim.say("from a private window");
  await lee.open(channel);
  await lee.sees("from a private window");
  await lee.say("nobody will know");
  await kim.sees("nobody will know");
  await kim.receiptIs("from a private window", "read");
  await kim.reload();
  await kim.until("the door", () => document.querySelector("suda-auth form"));
  await kim.logIn("kim");
  await kim.open(channel);
  await kim.sees("nobody will know");
  await kim.close();
});

test("where the disk is full in mid-session, nothing is lost: it goes on in memory", async () => {
  const park = await app.person("park");
  const channel = await park.message("lee");
  await park.say("there is room");
  await park.receiptIs("there is room", "sent");
  assert.equal(await park.run(() => document.querySelector("suda-sidebar suda-link .memory")), null);
  await lee.open(channel);
  // As a browser does it: the writing is taken, and its transaction is aborted.
  await park.run(() => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (...row) {
      queueMicrotask(() => this.transaction.abort());
      return put.apply(this, row);
    };
  });
  await lee.say("is your disk full?");
  await park.sees("is your disk full?");
  await inMemory(park);
  await park.say("there is none");
  await park.receiptIs("there is none", "read");
  await lee.sees("there is none");
  await lee.say("and still");
  await park.sees("and still");
  assert.deepEqual((await lee.texts()).filter((text) => text.startsWith("there is")), ["there is room", "there is none"]);
});
