// Users, friends, presence, devices, oneself.

import { ServerError } from "./errors.js";
import { abortable } from "./events.js";
import { camel, presence, snake, user } from "./wire.js";

const CACHED_MS = 600_000;
const CACHED_MAX = 5_000;
const LOOKUP_MAX = 200;

export class Users {
  #client;
  #cache = new Map();
  #wanted = null;

  constructor(client) {
    this.#client = client;
  }

  forget() {
    this.#cache.clear();
  }

  #keep(row) {
    const fresh = user(row);
    const old = this.#cache.get(fresh.id)?.user;
    const kept = old && JSON.stringify(old) === JSON.stringify(fresh) ? old : fresh;
    if (this.#cache.size >= CACHED_MAX) this.#cache.delete(this.#cache.keys().next().value);
    this.#cache.set(kept.id, { user: kept, at: Date.now() });
    return kept;
  }

  peek(id) {
    return this.#cache.get(id)?.user;
  }

  async get(id, options) {
    const [found] = await this.getMany([id], options);
    if (!found) throw new ServerError("not_found", "no such user");
    return found;
  }

  async getMany(ids, { signal } = {}) {
    const fresh = (id) => Date.now() - (this.#cache.get(id)?.at ?? -Infinity) < CACHED_MS;
    const missing = ids.filter((id) => !fresh(id));
    if (missing.length) await abortable(this.#lookUp(missing), signal);
    return ids.map((id) => this.peek(id)).filter(Boolean);
  }

  /** Those asked for in one turn go together. */
  #lookUp(ids) {
    if (!this.#wanted) {
      const wanted = (this.#wanted = { ids: new Set(), done: null });
      wanted.done = new Promise((resolve) => setTimeout(resolve)).then(async () => {
        this.#wanted = null;
        const all = [...wanted.ids];
        const parts = [];
        for (let i = 0; i < all.length; i += LOOKUP_MAX) parts.push(all.slice(i, i + LOOKUP_MAX));
        await Promise.all(
          parts.map(async (part) => {
            const { users } = await this.#client.http({}, "GET", `users?ids=${part.join(",")}`);
            users.forEach((row) => this.#keep(row));
          }),
        );
      });
    }
    for (const id of ids) this.#wanted.ids.add(id);
    return this.#wanted.done;
  }

  async byHandle(handle, options) {
    const { users } = await this.#client.http(options, "GET", `users?handle=${encodeURIComponent(handle)}`);
    return this.#keep(users[0]);
  }

  async search(beginning, { limit, signal } = {}) {
    const most = limit ? `&limit=${limit}` : "";
    const { users } = await this.#client.http({ signal }, "GET", `users?search=${encodeURIComponent(beginning)}${most}`);
    return users.map((row) => this.#keep(row));
  }
}

export class Friends {
  #client;
  constructor(client) {
    this.#client = client;
  }
  async #list(options, path) {
    const rows = await this.#client.pages(options, path, "users");
    return rows.map(({ user: userId, since_ms: sinceMs }) => ({ userId, sinceMs }));
  }
  list(options) {
    return this.#list(options, "friends?list=friends");
  }
  received(options) {
    return this.#list(options, "friends?list=received");
  }
  sent(options) {
    return this.#list(options, "friends?list=sent");
  }
  blocked(options) {
    return this.#list(options, "blocks");
  }
  async request(id, options) {
    return (await this.#client.http(options, "PUT", `friends/${id}`)).state;
  }
  async accept(id, options) {
    await this.#client.http(options, "POST", `friends/${id}/accept`);
  }
  async refuse(id, options) {
    await this.#client.http(options, "POST", `friends/${id}/refuse`);
  }
  async remove(id, options) {
    await this.#client.http(options, "DELETE", `friends/${id}`);
  }
  async block(id, options) {
    await this.#client.http(options, "PUT", `blocks/${id}`);
  }
  async unblock(id, options) {
    await this.#client.http(options, "DELETE", `blocks/${id}`);
  }
}

export class PresenceBook {
  #client;
  #known = new Map();
  constructor(client) {
    this.#client = client;
  }
  forget() {
    this.#known.clear();
  }
  /** What changed. */
  take(rows) {
    const changed = [];
    for (const row of rows) {
      const fresh = presence(row);
      const old = this.#known.get(fresh.userId);
      if (old && old.status === fresh.status && old.lastActiveAtMs === fresh.lastActiveAtMs) continue;
      this.#known.set(fresh.userId, fresh);
      changed.push(fresh);
    }
    return changed;
  }
  peek(id) {
    return this.#known.get(id);
  }
  async ask(users, { signal } = {}) {
    const rows = await abortable(this.#client.tabs.call("presence", [...users]), signal);
    this.take(rows);
    return rows.map((row) => this.#known.get(row.user));
  }
}

export class Devices {
  #client;
  constructor(client) {
    this.#client = client;
  }
  async list(options) {
    const { devices, this: current } = await this.#client.http(options, "GET", "devices");
    return devices.map((row) => ({
      id: row.device,
      name: row.name,
      platform: row.platform,
      madeAtMs: row.made_at_ms,
      seenAtMs: row.seen_at_ms,
      current: row.device === current,
    }));
  }
  async rename(id, name, options) {
    await this.#client.http(options, "PATCH", `devices/${id}`, { name });
  }
  async logOut(id, options) {
    await this.#client.http(options, "DELETE", `devices/${id}`);
  }
  async logOutOthers(options) {
    return (await this.#client.http(options, "POST", "devices/logout-others")).devices;
  }
  async registerPush(subscription, options) {
    await this.#client.http(options, "PUT", "push-tokens", pushToken(subscription));
  }
  async unregisterPush(subscription, options) {
    await this.#client.http(options, "DELETE", "push-tokens", pushToken(subscription));
  }
}

const pushToken = (subscription) => ({ kind: "webpush", token: JSON.stringify(subscription) });

const profile = (id, { public: seen, profile: own }) =>
  Object.freeze({ ...user(seen), locale: own.locale, timeZone: own.time_zone });

const settings = (row) => Object.freeze({ ...camel(row), quietHours: row.quiet_hours && camel(row.quiet_hours) });

export class Me {
  #client;
  constructor(client) {
    this.#client = client;
  }
  async profile(options) {
    return profile(this.#client.userId, await this.#client.http(options, "GET", "me"));
  }
  async changeProfile(change, options) {
    await this.#client.http(options, "PATCH", "me", snake(change));
    return this.profile();
  }
  async settings(options) {
    return settings(await this.#client.http(options, "GET", "me/settings"));
  }
  async changeSettings(change, options) {
    const body = snake(change);
    if (body.quiet_hours) body.quiet_hours = snake(body.quiet_hours);
    return settings(await this.#client.http(options, "PATCH", "me/settings", body));
  }
}
