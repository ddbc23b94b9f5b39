// A UDP port before the node's, which can be made to swallow everything, as some networks do.

import { createSocket } from "node:dgram";

export class UdpProxy {
  blocked = false;
  #front = createSocket("udp4");
  #backs = new Map();
  #target = 0;

  static async start() {
    const proxy = new UdpProxy();
    proxy.#front.on("message", (bytes, from) => proxy.#forward(bytes, from));
    await new Promise((resolve) => proxy.#front.bind(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port() {
    return this.#front.address().port;
  }

  /** To which port of this machine. */
  to(port) {
    this.#target = port;
  }

  #forward(bytes, from) {
    if (this.blocked) return;
    const key = `${from.address}:${from.port}`;
    let back = this.#backs.get(key);
    if (!back) {
      this.#backs.set(key, (back = createSocket("udp4")));
      back.on("message", (answer) => this.blocked || this.#front.send(answer, from.port, from.address));
      // The node is away for a moment.
      back.on("error", () => {});
    }
    back.send(bytes, this.#target, "127.0.0.1");
  }

  stop() {
    this.#front.close();
    for (const back of this.#backs.values()) back.close();
  }
}
