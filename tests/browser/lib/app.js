// People in the chat app, who do what people do: type, click, read.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Node } from "./node.js";
import { TcpProxy } from "./tcp.js";
import { UdpProxy } from "./udp.js";
import { waitFor } from "./wait.js";
import { Driver } from "./webdriver.js";

/** What WebDriver says of an element that the app has drawn anew. */
const GONE = new Set(["no such element", "stale element reference"]);
const web = resolve(import.meta.dirname, "../../../wasm-client/dist");
export const PASSWORD = "correct horse battery";
/** WebDriver's names of keys. */
export const KEYS = { enter: "\uE007", shift: "\uE008", tab: "\uE004", escape: "\uE00C", up: "\uE013", down: "\uE015", end: "\uE010", alt: "\uE00A", backspace: "\uE003" };

export class App {
  ways = [];

  static async start(settings = {}) {
    if (!existsSync(join(web, "index.html"))) throw new Error("the app is not built: scripts/web-app.sh");
    const app = new App();
    app.udp = await UdpProxy.start();
    app.node = await Node.start({ web, settings: { "node.public_port": app.udp.port, ...settings } });
    app.udp.to(app.node.port);
    app.driver = await Driver.start();
    return app;
  }

  /**
   * A browser at the app's door. `before`, alone or with its arguments, runs in each of its pages before the app does;
   * in those of further tabs after `prepareTab()`.
   */
  async visitor(options = {}) {
    const { path = "/", language = "en", before, ...rest } = options;
    const browser = Object.assign(await this.driver.browser({ ...rest, args: [`--lang=${language}`, `--accept-lang=${language}`, ...(rest.args ?? [])] }), helpers);
    const [act, ...args] = [before].flat();
    browser.prepareTab = async () => act && browser.cdp("Page.addScriptToEvaluateOnNewDocument", { source: `(${act})(...${JSON.stringify(args)})` });
    await browser.prepareTab();
    return this.#arrive(browser, path);
  }

  /** The same in another kind of browser. */
  visitorIn(browser) {
    return this.#arrive(Object.assign(browser, helpers), "/");
  }

  async #arrive(browser, path) {
    browser.way = await TcpProxy.start(() => this.node.httpPort);
    this.ways.push(browser.way);
    await browser.goto(browser.way.url + path);
    await browser.until("the door", () => document.querySelector("suda-auth form, suda-chat"));
    return browser;
  }

  /** Somebody new, who signs up by the form. */
  async person(handle, options = {}) {
    const browser = await this.visitor(options);
    await browser.signUp(handle, options.name);
    return browser;
  }

  async stop() {
    await this.driver?.stop();
    await this.node?.stop();
    this.udp?.stop();
    for (const way of this.ways) way.stop();
  }
}

const helpers = {
  async signUp(handle, name = handle) {
    this.handle = handle;
    await this.click("suda-auth > main > button");
    await this.fill("[name=handle]", handle);
    await this.fill("[name=password]", PASSWORD);
    await this.fill("[name=displayName]", name);
    await this.click("form button[type=submit]");
    await this.online();
  },

  async logIn(handle) {
    this.handle = handle;
    await this.fill("[name=handle]", handle);
    await this.fill("[name=password]", PASSWORD);
    await this.click("form button[type=submit]");
    await this.online();
  },

  online(transport) {
    const link = (transport) => {
      const line = document.querySelector("suda-sidebar suda-link");
      return line?.dataset.state === "online" && (!transport || line.dataset.transport === transport) && line.dataset.transport;
    };
    return this.until(`${this.handle} to be online`, link, transport);
  },

  /** Does not wait for the next attempt to connect, if one is waited for. */
  tryNow() {
    return this.run(() => [...document.querySelectorAll("suda-sidebar suda-link button")].find((button) => button.textContent === "Try now")?.click());
  },

  /**
   * Waits for the element that `mark` marks (or that is there, without it), and does something with it. The app may draw it anew
   * after it was found and before anything was done: then the new one is meant.
   */
  with(what, selector, act, mark, ...args) {
    return waitFor(what, async () => {
      if (mark && !(await this.run(mark, ...args))) return false;
      try {
        await act(await this.find(selector));
        return true;
      } catch (error) {
        if (GONE.has(error.code)) return false;
        throw error;
      }
    });
  },

  click(selector) {
    return this.with(selector, selector, (element) => element.click());
  },

  fill(selector, text) {
    return this.with(selector, selector, async (field) => {
      await field.clear();
      await field.type(text);
    });
  },

  /** Clicks a button by what it says. */
  press(label, inside = "body") {
    const marked = (label, inside) => {
      document.querySelector("[data-test-press]")?.removeAttribute("data-test-press");
      const said = (button) => (button.getAttribute("aria-label") ?? button.textContent).trim();
      const found = [...document.querySelectorAll(inside)].flatMap((part) => [...part.querySelectorAll("button, a")]).findLast((button) => said(button) === label && button.checkVisibility());
      found?.setAttribute("data-test-press", "");
      return Boolean(found);
    };
    return this.with(`a button "${label}"`, "[data-test-press]", (button) => button.click(), marked, label, inside);
  },

  /** Turns a switch of a dialog on or off. */
  async turn(label, on) {
    const found = (label) => {
      const input = [...document.querySelectorAll("dialog .toggle")].find(({ textContent }) => textContent === label)?.querySelector("input");
      input?.setAttribute("data-test-turn", label);
      return Boolean(input);
    };
    await this.until(`a switch "${label}"`, found, label);
    const is = (label) => document.querySelector(`[data-test-turn="${label}"]`).checked;
    if ((await this.run(is, label)) !== on) await (await this.find(`[data-test-turn="${label}"]`)).click();
    await this.until(`"${label}" to be ${on}`, (label, on) => document.querySelector(`[data-test-turn="${label}"]`).checked === on, label, on);
  },

  /** Keys, to whatever has the focus. */
  async keys(...keys) {
    const actions = keys.flatMap((key) => {
      const [held, last] = Array.isArray(key) ? [key.slice(0, -1), key.at(-1)] : [[], key];
      const down = (value) => ({ type: "keyDown", value });
      const up = (value) => ({ type: "keyUp", value });
      return [...held.map(down), ...[...last].flatMap((one) => [down(one), up(one)]), ...held.map(up)];
    });
    await this.perform([{ type: "key", id: "keyboard", actions }]);
  },

  /** Begins, or opens, the conversation with somebody. */
  async message(handle) {
    await this.press("New conversation", "suda-sidebar");
    await this.fill("dialog input[type=search]", handle);
    await this.until(`${handle} to be found`, (handle) => [...document.querySelectorAll("dialog .people .who span")].some((e) => e.textContent === `@${handle}`), handle);
    await this.press("Message", "dialog");
    await this.until("the conversation", () => document.querySelector("suda-conversation textarea") && !document.querySelector("dialog"));
    return this.channel();
  },

  channel() {
    return this.run(() => /^\/c\/(\d+)/.exec(location.pathname)?.[1]);
  },

  async open(channel) {
    // The list may be moving just now, so nothing is aimed at.
    const clicked = (channel) => document.querySelector(`a[data-channel="${channel}"]`)?.click() ?? document.querySelector(`a[data-channel="${channel}"]`) !== null;
    await this.until("its row", clicked, channel);
    await this.until("the conversation", (channel) => location.pathname === `/c/${channel}` && document.querySelector("suda-conversation textarea"), channel);
  },

  async say(text) {
    await this.fill("suda-composer textarea", text);
    await this.keys(KEYS.enter);
  },

  /** What is in the textarea, without typing it: for long texts. */
  async paste(text) {
    await this.run((text) => {
      const box = document.querySelector("suda-composer textarea");
      box.focus();
      box.value = text;
      box.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }, text);
    await this.keys(KEYS.enter);
  },

  sees(text) {
    const seen = (text) => [...document.querySelectorAll(".item .text")].some((element) => element.textContent.includes(text));
    return this.until(`${this.handle} to see ${text.slice(0, 40)}`, seen, text);
  },

  texts() {
    return this.run(() => [...document.querySelectorAll(".item .text")].map((element) => element.textContent));
  },

  /** How far the last own message with this text has got. */
  receipt(text) {
    return this.run((text) => {
      const item = [...document.querySelectorAll(".item.own")].findLast((item) => item.querySelector(".text")?.textContent === text);
      return item?.querySelector(".tick")?.dataset.state;
    }, text);
  },

  receiptIs(text, state) {
    const is = (text, state) => {
      const item = [...document.querySelectorAll(".item.own")].findLast((item) => item.querySelector(".text")?.textContent === text);
      return item?.querySelector(".tick")?.dataset.state === state;
    };
    return this.until(`"${text}" to be ${state}`, is, text, state);
  },
};
