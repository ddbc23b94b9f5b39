// Links: WebTransport and WebSocket, as the core wants them. `to` is told what happens.

const HIGH_WATER = 1 << 20;
const isCode = (code) => code >= 4000 && code < 5000;

/** A WebTransport session. Its streams are those of the core, under the core's numbers. */
export class TransportLink {
  #wt;
  #to;
  #streams = new Map();
  #over = false;

  constructor(candidate, to) {
    this.#to = to;
    const hashes = candidate.certificate_hashes.map((hash) => ({ algorithm: "sha-256", value: new Uint8Array(hash) }));
    this.#wt = new WebTransport(candidate.url, hashes.length ? { serverCertificateHashes: hashes } : {});
    this.#wt.closed.then(
      ({ closeCode } = {}) => this.#end(closeCode),
      () => this.#end(),
    );
    this.#begin().catch(() => this.#end());
  }

  async #begin() {
    await this.#wt.ready;
    await this.#open(0);
    if (this.#over) return;
    this.#to.dialed();
    this.#readDatagrams(this.#wt.datagrams.readable.getReader());
  }

  async #readDatagrams(reader) {
    try {
      for (let read; !(read = await reader.read()).done && !this.#over; ) this.#to.datagram(read.value);
    } catch {
      // They end with the session, which is told by itself.
    }
  }

  #end(code) {
    if (this.#over) return;
    this.#over = true;
    this.#to.ended(isCode(code) ? code : undefined);
  }

  async #open(id) {
    const state = { writer: null, full: true };
    this.#streams.set(id, state);
    const stream = await this.#wt.createBidirectionalStream();
    state.writer = stream.writable.getWriter();
    state.writer.closed.catch(() => {});
    state.full = false;
    this.#read(id, stream.readable.getReader());
    return state;
  }

  async #read(id, reader) {
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (this.#over) return;
        if (done) return this.#to.streamEnded(id);
        this.#to.received(id, value);
      }
    } catch (error) {
      // The end of the session ends its streams too; that is told once, as the link's end.
      if (!this.#over && error?.source === "stream") this.#to.streamEnded(id, error.streamErrorCode ?? 4000);
    }
  }

  /** Writes what the core has, as far as the streams have room. */
  flush(engine, link) {
    if (this.#over) return;
    for (;;) {
      const full = [];
      for (const [id, state] of this.#streams) if (state.full) full.push(id);
      const piece = engine.nextPiece(link, Uint32Array.from(full));
      if (!piece) return;
      const [id, what] = piece;
      const state = this.#streams.get(id);
      if (state) this.#write(id, state, what);
      else this.#open(id).then((opened) => this.#write(id, opened, what) ?? this.#to.room(), () => this.#end());
    }
  }

  #write(id, state, what) {
    const { writer } = state;
    if (what === null) {
      this.#streams.delete(id);
      writer.close().catch(() => {});
    } else if (typeof what === "number") {
      this.#streams.delete(id);
      writer.abort(new WebTransportError({ streamErrorCode: what })).catch(() => {});
    } else {
      writer.write(what).catch(() => {});
      if (writer.desiredSize <= 0) {
        state.full = true;
        const room = () => {
          state.full = false;
          this.#to.room();
        };
        writer.ready.then(room, () => {});
      }
    }
  }

  close(code) {
    this.#over = true;
    try {
      this.#wt.close({ closeCode: code, reason: "" });
    } catch {
      // It never was open, which comes to the same.
    }
  }
}

/** A WebSocket, over which the core's streams take turns. */
export class SocketLink {
  #ws;
  #to;
  #over = false;
  #waiting = false;

  constructor(candidate, to) {
    this.#to = to;
    this.#ws = new WebSocket(candidate.url, ["suda.1.bin"]);
    this.#ws.binaryType = "arraybuffer";
    this.#ws.onopen = () => this.#over || to.dialed();
    this.#ws.onmessage = ({ data }) => {
      if (this.#over) return;
      if (typeof data === "string" || !to.message(new Uint8Array(data))) this.close(4200, true);
    };
    this.#ws.onclose = ({ code }) => this.#end(code);
    this.#ws.onerror = () => this.#end();
  }

  #end(code) {
    if (this.#over) return;
    this.#over = true;
    this.#to.ended(isCode(code) ? code : undefined);
  }

  flush(engine, link) {
    if (this.#over || this.#ws.readyState !== WebSocket.OPEN) return;
    while (this.#ws.bufferedAmount < HIGH_WATER) {
      const message = engine.nextMessage(link);
      if (!message) return;
      this.#ws.send(message);
    }
    // There is no event for it.
    if (!this.#waiting) {
      this.#waiting = true;
      setTimeout(() => {
        this.#waiting = false;
        this.#to.room();
      }, 20);
    }
  }

  close(code, tell = false) {
    if (tell) this.#end(code);
    this.#over = true;
    this.#ws.close(code);
  }
}
