// Web Push, as far as a page has to do with it. What a service worker does without one is in push-worker.js.

import { ClientError } from "./errors.js";
import { abortable } from "./events.js";

/** Some browsers never say that they can't reach their push service. */
const SUBSCRIBED_WITHIN_MS = 15_000;

export class Push {
  #client;
  constructor(client) {
    this.#client = client;
  }

  async turnOn(worker, { signal } = {}) {
    const { webPushKey } = await this.#client.serverInfo({ signal });
    if (webPushKey === null) {
      await this.turnOff(worker, { signal });
      return false;
    }
    const subscription = await abortable(subscribe(worker, webPushKey), signal);
    await this.#client.devices.registerPush(subscription, { signal });
    return true;
  }

  async turnOff(worker, { signal } = {}) {
    const subscription = await abortable(Promise.resolve(worker.pushManager?.getSubscription()), signal);
    if (!subscription) return;
    // If it does not get there, the push service says so to the server, which forgets the address then.
    const told = this.#client.session && this.#client.devices.unregisterPush(subscription, { signal }).catch(() => {});
    await abortable(subscription.unsubscribe(), signal);
    await told;
  }
}

async function subscribe(worker, key) {
  if (!worker.pushManager) throw new ClientError("unsupported", "this browser has no Web Push");
  try {
    let subscription = await worker.pushManager.getSubscription();
    if (subscription && keyOf(subscription) !== key) {
      // The server's key is another one now: what is sealed with it would not be taken.
      await subscription.unsubscribe();
      subscription = null;
    }
    return subscription ?? (await inTime(worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })));
  } catch (cause) {
    throw new ClientError("unsupported", `the browser gives no subscription: ${cause?.message ?? cause}`, { cause });
  }
}

async function inTime(asked) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(reject, SUBSCRIBED_WITHIN_MS, new Error("its push service does not answer"))));
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

function keyOf({ options }) {
  const bytes = new Uint8Array(options?.applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
