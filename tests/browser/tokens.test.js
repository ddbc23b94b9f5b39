// Tokens that run out while the page is open, and logins that end.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Setting, say, sees } from "./lib/setting.js";

let setting;
before(async () => (setting = await Setting.start({ "accounts.access_token_ms": 10_000, "session.token_warning_ms": 2_000 })));
after(() => setting?.stop());

test("an access token that runs out is renewed, on the same link", async () => {
  const [kim, lee] = [await setting.person("kim"), await setting.person("lee")];
  const channel = await setting.between(kim, lee);
  await kim.run(() => {
    window.links = [];
    page.client.addEventListener("link", ({ detail }) => window.links.push(detail.state));
    window.since = Date.now();
  });
  await kim.until("its token to have run out twice", () => Date.now() - window.since > 21_000);
  await say(kim, channel, "with a new token");
  await sees(lee, channel, "with a new token");
  assert.deepEqual(await kim.run(() => window.links), []);
  // The HTTP API takes the new one too.
  assert.equal((await kim.run(() => page.client.me.profile())).handle, "kim");
});

test("a device that is logged out from elsewhere ends, and says so", async () => {
  const kim = await setting.person("kimagain");
  const other = await setting.again(kim);
  await other.run(() => page.client.devices.logOutOthers());
  await kim.until("the end", () => page.client.link.state === "ended");
  assert.equal(await kim.run(() => page.client.link.reason), "revoked");
  await kim.until("no session", () => page.client.session === null);
});

test("errors are of their classes", async () => {
  const browser = await setting.person("errors");
  const said = await browser.run(async () => {
    const { AuthError, ServerError, SudaError } = page.suda;
    const wrong = await page.client.users.byHandle("nobody-of-this-name").catch((error) => error);
    await page.client.logOut();
    const auth = await page.client.logIn("errors", "not the password").catch((error) => error);
    const out = await page.client.me.profile().catch((error) => error);
    return [
      [wrong instanceof ServerError && wrong instanceof SudaError && wrong instanceof Error, wrong.code, wrong.retryable],
      [auth instanceof AuthError, auth.code, auth.retry],
      [out instanceof AuthError, out.code],
      page.client.link.state,
    ];
  });
  assert.deepEqual(said, [[true, "not_found", false], [true, "wrong_credentials", "after-fix"], [true, "logged_out"], "ended"]);
});
