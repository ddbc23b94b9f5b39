// One person's way to the node's HTTP port, which can be cut: all that is open breaks, and nothing new gets through.

import { connect, createServer } from "node:net";

export class TcpProxy {
  #server;
  #open = new Set();
  #cut = false;

  static async start(target) {
    const proxy = new TcpProxy();
    proxy.#server = createServer((socket) => proxy.#accept(socket, target));
    await new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  #accept(socket, target) {
    if (this.#cut) return socket.destroy();
    const back = connect(target(), "127.0.0.1");
    for (const end of [socket, back]) {
      this.#open.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        this.#open.delete(end);
        socket.destroy();
        back.destroy();
      });
    }
    socket.pipe(back).pipe(socket);
  }

  cut(cut) {
    this.#cut = cut;
    if (cut) for (const socket of this.#open) socket.destroy();
  }

  stop() {
    this.cut(true);
    this.#server.close();
  }
}
