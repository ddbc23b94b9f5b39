// What the package's tests stand on: a node that serves a page with the package, chromedriver, people in browsers.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Node } from "./node.js";
import { Driver } from "./webdriver.js";

const here = resolve(import.meta.dirname, "..");
const PASSWORD = "correct horse battery";

export class Setting {
  static async start(settings = {}) {
    const setting = new Setting();
    setting.web = mkdtempSync(join(tmpdir(), "suda-web-"));
    cpSync(join(here, "page"), setting.web, { recursive: true });
    cpSync(resolve(here, "../../wasm-client/pkg"), join(setting.web, "pkg"), { recursive: true });
    setting.node = await Node.start({ web: setting.web, settings });
    setting.driver = await Driver.start();
    return setting;
  }

  /** A browser on the page, with somebody new logged in. */
  async person(handle, options = {}) {
    const { client = {}, ...rest } = options;
    const browser = await this.driver.browser(rest);
    await browser.goto(this.node.url);
    await browser.until("the page", () => Boolean(window.page));
    await browser.run((options) => page.open(options), client);
    const session = await browser.run((account) => page.client.signUp(account), { handle, password: PASSWORD });
    await browser.until(`${handle} to be online`, () => page.online());
    return Object.assign(browser, { handle, user: session.userId, options: client });
  }

  /** The direct channel of two, opened and shown by both. */
  async between(one, other) {
    const channel = await one.run(async (user) => (await page.client.openDirect(user)).id, other.user);
    for (const person of [one, other]) await person.run((channel) => page.show(channel), channel);
    return channel;
  }

  async stop() {
    await this.driver?.stop();
    await this.node?.stop();
    rmSync(this.web, { recursive: true, force: true });
  }
}

/** Sends, and waits for the acknowledgement. */
export const say = (person, channel, text) =>
  person.run((channel, text) => page.client.channel(channel).send(text).acknowledged, channel, text);

export const sees = (person, channel, text) =>
  person.until(`${person.handle} to see ${text.slice(0, 40)}`, (channel, text) => page.texts(channel).includes(text), channel, text);

export { PASSWORD };
