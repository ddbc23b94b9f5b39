// The HTTP API, and the tokens that it takes.

import { AuthError, NetworkError, SudaError, errorFrom } from "./errors.js";

const WITHIN_MS = 20_000;

export class Http {
  #base;
  #onLogin;
  #refreshing = null;
  login = null;

  /** `onLogin` is told of every new login, to keep it. */
  constructor(base, onLogin) {
    this.#base = base;
    this.#onLogin = onLogin;
  }

  /** Asks without a token. */
  async ask(method, path, body, access) {
    const headers = {};
    if (body !== undefined) headers["content-type"] = "application/json";
    if (access) headers.authorization = `Bearer ${access}`;
    let response, text;
    try {
      response = await fetch(`${this.#base}/v1/${path}`, {
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
    throw said?.code ? errorFrom(said) : errorFrom({ code: response.status >= 500 ? "unavailable" : "invalid", message: `HTTP ${response.status}` });
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

/** Where links can be had, as the core wants it: those of all nodes, in the order in which to try them. */
export function candidates(discovery, server) {
  const nodes = discovery.nodes?.length ? discovery.nodes : [discovery];
  return nodes.flatMap((node) => candidatesOf(node, server));
}

function candidatesOf({ node = 0, links, certificate_hashes }, server) {
  const hashes = (certificate_hashes ?? [])
    .filter(({ algorithm }) => algorithm === "sha-256")
    .flatMap(({ value }) => value.match(/../g).map((pair) => parseInt(pair, 16)));
  const plain = new URL(server).protocol === "http:";
  const secure = globalThis.location?.protocol === "https:";
  const usable = ({ kind, url }) => {
    if (kind === "webtransport") return typeof WebTransport === "function";
    if (kind !== "websocket") return false;
    if (url.startsWith("ws:")) return plain && !secure;
    // A WebSocket can't be told to trust the certificate that a node made for itself, unless the page itself came with it.
    return !(plain && hashes.length > 0);
  };
  return links
    .filter(usable)
    .map(({ kind, url }) => ({ node, kind, url, hashes: kind === "webtransport" ? hashes : [] }));
}
