// The app's service worker: it shows notifications, also while no tab is open, if the server and the browser can do that.

import { client, me, profile } from "./session.js";
import { t } from "./i18n.js";

/** Each login of this browser has a worker of its own, and with it an address of its own at the browser's push service. */
const SCOPE = profile ? `/profile/${encodeURIComponent(profile)}/` : "/";

/** Tells `change`: `reach` is another, and `message`: the worker has something to say. */
export const worker = new EventTarget();

/** What it is good for: `"closed"` (told also while no tab is open), `"open"` (only while one is), or null: not turned on. */
export let reach = null;

let registration = null;

function reaches(what) {
  if (reach === what) return;
  reach = what;
  worker.dispatchEvent(new Event("change"));
}

const supported = () => isSecureContext && "serviceWorker" in navigator;

export function listen() {
  if (!supported()) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => data?.suda && worker.dispatchEvent(new CustomEvent("message", { detail: data })));
  navigator.serviceWorker.startMessages();
}

/** One at a time; the last that was wanted counts. */
let turn = Promise.resolve();
const inTurn = (act) => (turn = turn.then(act, act));

/** Turns it on: rejects if the server can't be asked now. */
export const turnOn = () => inTurn(on);

async function on() {
  if (!supported()) return reaches("open");
  try {
    registration ??= await navigator.serviceWorker.register(`/service-worker.js?language=${t.language}`, { scope: SCOPE, updateViaCache: "none" });
    await active(registration);
  } catch {
    // A policy, a private window. Tabs notify by themselves then.
    registration = null;
    return reaches("open");
  }
  reaches(reach ?? "open");
  if (!me()) return;
  try {
    reaches((await client.push.turnOn(registration)) ? "closed" : "open");
  } catch (error) {
    if (error.code !== "unsupported") throw error;
    reaches("open");
  }
}

/** The worker can be spoken to. */
async function active({ installing, waiting }) {
  const coming = installing ?? waiting;
  if (!coming) return;
  await new Promise((resolve, reject) => {
    const look = () => {
      if (coming.state === "activated") resolve();
      else if (coming.state === "redundant") reject(new Error("the service worker could not be installed"));
    };
    coming.addEventListener("statechange", look);
    look();
  });
}

/** Turns it off, and takes away what is shown. The worker stays, and sleeps. */
export const turnOff = () =>
  inTurn(async () => {
    reaches(null);
    if (!supported()) return;
    const found = registration ?? (await navigator.serviceWorker.getRegistration(SCOPE).catch(() => undefined));
    registration = null;
    if (!found || new URL(found.scope).pathname !== SCOPE) return;
    found.active?.postMessage({ suda: "forget" });
    await client.push.turnOff(found);
  });

/** Has the worker show something, or take it away. False if there is none. */
export function tell(message) {
  if (!registration?.active) return false;
  registration.active.postMessage(message);
  return true;
}
