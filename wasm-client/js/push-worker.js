// For the app's service worker, by `importScripts`: what has to be done where there may be no page. Not a module, for not all
// browsers have modules there.

/**
 * Registers what has taken the place of a subscription: to be called on `pushsubscriptionchange`. False if a page is open, for
 * that one has the login: `client.push.turnOn()` there does it; and if nobody is logged in.
 */
async function renew({ oldSubscription, newSubscription } = {}, { server = location.origin, profile = "" } = {}) {
  const name = `suda:${server}:${profile}`;
  return navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    const db = lock && (await openStore(name));
    if (!db) return false;
    try {
      const subscription = newSubscription ?? (await subscribe(server, oldSubscription));
      const token = (subscription) => ({ kind: "webpush", token: JSON.stringify(subscription) });
      if (oldSubscription) await call(db, server, "DELETE", "push-tokens", token(oldSubscription)).catch(() => {});
      return await call(db, server, "PUT", "push-tokens", token(subscription));
    } finally {
      db.close();
    }
  });
}

async function subscribe(server, old) {
  const { web_push_key: key } = await (await fetch(`${server}/v1/discovery`)).json();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key ?? old?.options.applicationServerKey });
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** What the client keeps, or null. It must not come to be by being looked for: its tables are the client's to make. */
function openStore(name) {
  const request = indexedDB.open(name);
  request.onupgradeneeded = () => request.transaction.abort();
  return done(request).catch(() => null);
}

/** Asks as who is logged in. Only who holds the lock may: a refresh token works once, and the new one is kept first. */
async function call(db, server, method, path, body) {
  const ask = (path, method, body, access) =>
    fetch(`${server}/v1/${path}`, {
      method,
      headers: { "content-type": "application/json", ...(access && { authorization: `Bearer ${access}` }) },
      body: JSON.stringify(body),
      credentials: "omit",
    });
  const login = await done(db.transaction("kv").objectStore("kv").get("login"));
  if (!login) return false;
  const first = await ask(path, method, body, login.access);
  if (first.ok) return true;
  if (first.status !== 401) throw new Error(`${method} ${path}: HTTP ${first.status}`);
  const renewed = await ask("refresh", "POST", { refresh: login.refresh });
  if (!renewed.ok) throw new Error(`POST refresh: HTTP ${renewed.status}`);
  const fresh = await renewed.json();
  await keep(db, fresh);
  const second = await ask(path, method, body, fresh.access);
  if (!second.ok) throw new Error(`${method} ${path}: HTTP ${second.status}`);
  return true;
}

function keep(db, login) {
  const tx = db.transaction("kv", "readwrite");
  tx.objectStore("kv").put(login, "login");
  return new Promise((resolve, reject) => ([tx.oncomplete, tx.onabort] = [resolve, () => reject(tx.error)]));
}

self.sudaPush = Object.freeze({ renew });
