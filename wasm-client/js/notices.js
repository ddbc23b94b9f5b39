// What the user should be told of: found by comparing the list of channels with what it was.

const newest = (row) => row.preview?.seq ?? row.head;

export class Notices {
  /** Channel → how far it was looked at. */
  #seen = new Map();
  #me = null;

  /** `list`: as the host before this one has told it, to `me`. What came after is news. */
  constructor(list, me) {
    if (list && me) this.#start(list, me);
  }

  #start(list, me) {
    this.#me = me;
    this.#seen = new Map(list.map((row) => [row.channel, newest(row)]));
  }

  /** `tell` gets each new message of somebody else that is unread and not muted. */
  look(list, me, tell) {
    // The first list, and whoever logs in, starts from what there is.
    if (!me || this.#me !== me) return this.#start(list, me);
    for (const row of list) {
      const { channel, preview, read, mute } = row;
      const before = this.#seen.get(channel) ?? 0;
      // A new host has what is kept before it has what is new.
      this.#seen.set(channel, Math.max(before, newest(row)));
      if (!preview || preview.by === me || preview.seq <= read || preview.seq <= before) continue;
      if (typeof mute === "object" && mute.until > Date.now()) continue;
      const { seq, by, at_ms: atMs, text } = preview;
      tell({ channelId: channel, seq, by, atMs, text, mention: false, unsure: mute === "mentions_only" });
    }
  }
}
