// What the package's tests stand on: a node that serves a page with the package, chromedriver, people in browsers.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Node } from "./node.js";
import { TcpProxy } from "./tcp.js";
import { UdpProxy } from "./udp.js";
import { Driver } from "./webdriver.js";

const here = resolve(import.meta.dirname, "..");
const PASSWORD = "correct horse battery";

export class Setting {
  ways = [];

  static async start(settings = {}) {
    const setting = new Setting();
    setting.web = mkdtempSync(join(tmpdir(), "suda-web-"));
    cpSync(join(here, "page"), setting.web, { recursive: true });
    cpSync(resolve(here, "../../wasm-client/pkg"), join(setting.web, "pkg"), { recursive: true });
    // WebTransport goes through a port that tests can block; WebSocket goes to the node itself.
    setting.udp = await UdpProxy.start();
    setting.node = await Node.start({ web: setting.web, settings: { "node.public_port": setting.udp.port, ...settings } });
    setting.udp.to(setting.node.port);
    setting.driver = await Driver.start();
    return setting;
  }

  /** A browser on the page, with somebody new logged in. */
  async person(handle, options = {}) {
    const { client = {}, ...rest } = options;
    const browser = await this.driver.browser(rest);
    const way = await this.#way();
    await browser.goto(way.url);
    await browser.until("the page", () => Boolean(window.page));
    await browser.run((options) => page.open(options), client);
    const session = await browser.run((account) => page.client.signUp(account), { handle, password: PASSWORD });
    await browser.until(`${handle} to be online`, () => page.online());
    return Object.assign(browser, { handle, way, user: session.userId, options: client });
  }

  async #way() {
    const way = await TcpProxy.start(() => this.node.httpPort);
    this.ways.push(way);
    return way;
  }

  /** The same person in another browser: another device. */
  async again({ handle, user, options }) {
    const browser = await this.driver.browser();
    const way = await this.#way();
    await browser.goto(way.url);
    await browser.until("the page", () => Boolean(window.page));
    await browser.run((options) => page.open(options), options);
    await browser.run((handle, password) => page.client.logIn(handle, password), handle, PASSWORD);
    await browser.until(`${handle} to be online`, () => page.online());
    return Object.assign(browser, { handle, way, user, options });
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
    this.udp?.stop();
    for (const way of this.ways) way.stop();
    rmSync(this.web, { recursive: true, force: true });
  }
}

/** Sends, and waits for the acknowledgement. */
export const say = (person, channel, text) =>
  person.run((channel, text) => page.client.channel(channel).send(text).acknowledged, channel, text);

export const sees = (person, channel, text) =>
  person.until(`${person.handle} to see ${text.slice(0, 40)}`, (channel, text) => page.texts(channel).includes(text), channel, text);

export { PASSWORD };
