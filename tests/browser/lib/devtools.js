// Chromium's own protocol to one of its targets, for what WebDriver does not reach: events, and service workers.

import { waitFor } from "./wait.js";

const PATIENCE_MS = 20_000;

export class DevTools {
  #answers = new Map();
  #next = 1;
  #socket;
  events = [];

  /** To the first target of this browser that `is` likes. */
  static async to(browser, what, is) {
    const target = await waitFor(what, async () => (await (await fetch(`http://${browser.devtools}/json/list`)).json()).find(is));
    const devtools = new DevTools();
    devtools.#socket = new WebSocket(target.webSocketDebuggerUrl);
    devtools.#socket.onmessage = ({ data }) => devtools.#heard(JSON.parse(data));
    await new Promise((resolve, reject) => ([devtools.#socket.onopen, devtools.#socket.onerror] = [resolve, () => reject(new Error(`no way to ${what}`))]));
    return devtools;
  }

  #heard({ id, method, params, result, error }) {
    if (method) return this.events.push({ method, params });
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    if (error) answer?.reject(new Error(`DevTools: ${error.message}`));
    else answer?.resolve(result);
  }

  command(method, params = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      // A worker that the browser stops meanwhile does not answer.
      const late = setTimeout(() => reject(new Error(`DevTools: no answer to ${method} in ${PATIENCE_MS} ms`)), PATIENCE_MS);
      const settled = (settle) => (value) => (clearTimeout(late), settle(value));
      this.#answers.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async run(act, ...args) {
    const expression = `(async () => JSON.stringify({ value: await (${act})(...${JSON.stringify(args)}) }))()`;
    const { result, exceptionDetails } = await this.command("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`in the worker: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return JSON.parse(result.value).value;
  }

  close() {
    this.#socket.close();
  }
}

/** A service worker of the app, by any page that is open: those come and go. */
export class Worker {
  constructor(browser, scope = "/") {
    [this.browser, this.scope] = [browser, scope];
  }

  async #asked(method, params) {
    const page = await DevTools.to(this.browser, "a page", ({ type }) => type === "page");
    try {
      await page.command("ServiceWorker.enable");
      const registrations = () => page.events.filter(({ method }) => method === "ServiceWorker.workerRegistrationUpdated").flatMap(({ params }) => params.registrations);
      const found = () => registrations().findLast(({ scopeURL, isDeleted }) => !isDeleted && new URL(scopeURL).pathname === this.scope);
      const { registrationId, scopeURL } = await waitFor("the service worker's registration", found);
      await page.command(method, params({ registrationId, scopeURL, origin: new URL(scopeURL).origin }));
      return scopeURL;
    } finally {
      page.close();
    }
  }

  /** As the browser does when a push has come and was decrypted. */
  push(payload) {
    const data = typeof payload === "string" ? payload : JSON.stringify(payload);
    return this.#asked("ServiceWorker.deliverPushMessage", ({ origin, registrationId }) => ({ origin, registrationId, data }));
  }

  /** Runs the function in the worker, which is woken if it sleeps. */
  async run(act, ...args) {
    const { origin } = new URL(await this.#asked("ServiceWorker.startWorker", ({ scopeURL }) => ({ scopeURL })));
    const inside = await DevTools.to(this.browser, "the service worker", ({ type, url }) => type === "service_worker" && new URL(url).origin === origin);
    try {
      return await inside.run(act, ...args);
    } finally {
      inside.close();
    }
  }

  /** What is shown, the newest last. */
  notifications() {
    return this.run(async () => (await registration.getNotifications()).map(({ title, body, tag, silent, data }) => ({ title, body, tag, silent, channel: data.channel, count: data.count })));
  }
}
