// The HTTP API, and the tokens that it takes.

import { AuthError, NetworkError, SudaError, errorFrom } from "./errors.js";
import { Bases, basesOf } from "./nodes.js";

const WITHIN_MS = 20_000;
/** How long one node is asked for discovery alone before the next one is asked as well. */
const ASK_ANOTHER_AFTER_MS = 1_000;
/**
 * What is not asked of another node when the answer was lost. A browser does not say whether the first one has heard it, and
 * these would not have the same outcome the second time; all else would.
 */
const ONCE = new Set(["POST accounts", "POST login", "PUT account/password"]);

export class Http {
  #bases;
  #onLogin;
  #onNodes;
  #refreshing = null;
  login = null;

  /** `onLogin` is told of every new login, to keep it, and `onNodes` of the nodes that there are beside `base`. */
  constructor(base, onLogin, onNodes) {
    this.#bases = new Bases(base);
    [this.#onLogin, this.#onNodes] = [onLogin, onNodes];
  }

  /** Goes on with what was kept. */
  knows(nodes) {
    this.#bases.learn(nodes);
  }

  /** Asks without a token: the node that has answered last, and where it does not answer, the others. */
  async ask(method, path, body, access) {
    const until = Date.now() + WITHIN_MS;
    let failed;
    for (const base of this.#bases.inOrder()) {
      try {
        return await this.#askAt(base, method, path, body, access);
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error;
        this.#bases.failed(base);
        // What the first one has said is most to the point.
        failed ??= error;
        if (ONCE.has(`${method} ${path}`) || Date.now() > until) break;
      }
    }
    throw failed;
  }

  async #askAt(base, method, path, body, access) {
    const headers = {};
    if (body !== undefined) headers["content-type"] = "application/json";
    if (access) headers.authorization = `Bearer ${access}`;
    let response, text;
    try {
      response = await fetch(`${base}/v1/${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(WITHIN_MS),
      });
      text = await response.text();
    } catch (cause) {
      throw new NetworkError("network", `${method} ${path}: ${cause?.message ?? cause}`, { cause });
    }
    if (response.ok) {
      if (!text) return null;
      return (response.headers.get("content-type") ?? "").startsWith("application/json") ? JSON.parse(text) : text;
    }
    let said;
    try {
      said = JSON.parse(text);
    } catch {
      // A proxy's page, say.
    }
    if (said?.code) throw errorFrom(said);
    if (response.status >= 500) throw new NetworkError("network", `${method} ${path}: HTTP ${response.status}`);
    throw errorFrom({ code: "invalid", message: `HTTP ${response.status}` });
  }

  /** What discovery says, and where it was asked. Nodes known from before are asked as well where the first does not answer. */
  discover() {
    const bases = this.#bases.inOrder();
    let [asking, over, failed, timer] = [0, false, null, null];
    return new Promise((resolve, reject) => {
      const askNext = () => {
        clearTimeout(timer);
        if (over) return;
        const base = bases.shift();
        if (!base) return asking === 0 && reject(failed);
        asking += 1;
        timer = setTimeout(() => {
          this.#bases.failed(base);
          askNext();
        }, ASK_ANOTHER_AFTER_MS);
        this.#discoverAt(base).then(
          (found) => {
            clearTimeout(timer);
            over = true;
            resolve(found);
          },
          (error) => {
            asking -= 1;
            failed ??= error;
            askNext();
          },
        );
      };
      askNext();
    });
  }

  async #discoverAt(base) {
    let discovery;
    try {
      discovery = await this.#askAt(base, "GET", "discovery");
    } catch (error) {
      if (error instanceof NetworkError) this.#bases.failed(base);
      throw error;
    }
    if (this.#bases.learn(basesOf(discovery, base))) this.#onNodes(this.#bases.others());
    return { discovery, base };
  }

  /** Asks as who is logged in. */
  async call(method, path, body) {
    if (!this.login) throw new AuthError("logged_out", "nobody is logged in");
    const { access } = this.login;
    try {
      return await this.ask(method, path, body, access);
    } catch (error) {
      if (!(error instanceof SudaError) || (error.code !== "token_expired" && error.code !== "unauthenticated")) throw error;
      if (this.login?.access === access) await this.refresh();
      if (!this.login) throw error;
      return this.ask(method, path, body, this.login.access);
    }
  }

  /** Gets new tokens. A refresh token works once, so there is one refresh at a time. */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh() {
    const before = this.login;
    if (!before) throw new AuthError("logged_out", "nobody is logged in");
    const login = await this.ask("POST", "refresh", { refresh: before.refresh });
    // Somebody may have logged out meanwhile.
    if (this.login === before) await this.take(login);
    return this.login;
  }

  /** Somebody else is logged in now, or nobody. The old refresh token is worth nothing, so the new one is kept first. */
  async take(login) {
    this.login = login;
    await this.#onLogin(login);
  }
}
