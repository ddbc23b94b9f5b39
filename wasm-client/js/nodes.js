// Which nodes there are, and which of them the HTTP API is asked at.

/** The most nodes that are remembered beside the address that the app has given. */
const KNOWN_MAX = 8;

/** The app's address, and those of other nodes that discovery has named: origins, such as `https://chat.example.org`. */
export class Bases {
  #all;
  #at = 0;

  constructor(base) {
    this.#all = [base];
  }

  /** All of them, the one to ask first at the head. */
  inOrder() {
    return [...this.#all.slice(this.#at), ...this.#all.slice(0, this.#at)];
  }

  /** Those that the app has not given. */
  others() {
    return this.#all.slice(1);
  }

  /** This one did not answer: the next one is asked first from now on. */
  failed(base) {
    if (this.#all[this.#at] === base) this.#at = (this.#at + 1) % this.#all.length;
  }

  /**
   * What discovery has named, in its order, before what it named earlier; whether that is news. A node that is not named may
   * start again where it was, when those that are named now are gone. Nothing leads from TLS to a place without it.
   */
  learn(named) {
    const [first, ...earlier] = this.#all;
    const now = this.#all[this.#at];
    const plain = first.startsWith("http:");
    const all = new Set([first]);
    for (const base of [...named, ...earlier]) {
      if (all.size <= KNOWN_MAX && (base.startsWith("https:") || (plain && base.startsWith("http:")))) all.add(base);
    }
    const fresh = [...all];
    const isNews = fresh.join() !== this.#all.join();
    // Where it went well it goes on.
    [this.#all, this.#at] = [fresh, Math.max(0, fresh.indexOf(now))];
    return isNews;
  }
}

const nodesOf = (discovery) => (discovery.nodes?.length ? discovery.nodes : [discovery]);

/** Whether the page itself came by TLS: then browsers let it open nothing else. */
const isSecure = () => globalThis.location?.protocol === "https:";

/** Where the HTTP API is, as an answer of discovery says, for a page that has asked at `asked`. */
export function basesOf(discovery, asked) {
  const plain = asked.startsWith("http:") && !isSecure();
  return nodesOf(discovery).flatMap(({ api, api_http: clear, certificate_hashes: hashes }) => {
    // `fetch` can't be told to trust the certificate that a node made for itself, unless the page itself came with one.
    const address = (plain && clear) || (plain && hashes?.length ? null : api);
    try {
      const { origin, protocol, pathname } = new URL(address);
      return /^https?:$/.test(protocol) && pathname === "/v1" ? [origin] : [];
    } catch {
      return [];
    }
  });
}

/** Where links can be had, as the core wants it: those of all nodes, in the order in which to try them. */
export function candidates(discovery, asked) {
  return nodesOf(discovery).flatMap((node) => candidatesOf(node, asked));
}

function candidatesOf({ node = 0, links, certificate_hashes }, asked) {
  const hashes = (certificate_hashes ?? [])
    .filter(({ algorithm }) => algorithm === "sha-256")
    .flatMap(({ value }) => value.match(/../g).map((pair) => parseInt(pair, 16)));
  const plain = asked.startsWith("http:");
  const usable = ({ kind, url }) => {
    if (kind === "webtransport") return typeof WebTransport === "function";
    if (kind !== "websocket") return false;
    if (url.startsWith("ws:")) return plain && !isSecure();
    // A WebSocket can't be told to trust the certificate that a node made for itself, unless the page itself came with it.
    return !(plain && hashes.length > 0);
  };
  return links
    .filter(usable)
    .map(({ kind, url }) => ({ node, kind, url, hashes: kind === "webtransport" ? hashes : [] }));
}
