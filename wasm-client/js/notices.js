// What the user should be told of: found by comparing the list of channels with what it was.

export class Notices {
  #seen = null;

  /** `tell` gets each new message of somebody else that is unread and not muted. */
  look(list, me, tell) {
    const before = this.#seen;
    this.#seen = new Map(list.map((row) => [row.channel, row.preview?.seq ?? row.head]));
    // The first list, and whoever logs in, starts from what there is.
    if (!before || !me || this.me !== me) {
      this.me = me;
      return;
    }
    for (const { channel, preview, read, mute } of list) {
      if (!preview || preview.by === me || preview.seq <= read || preview.seq <= (before.get(channel) ?? 0)) continue;
      if (typeof mute === "object" && mute.until > Date.now()) continue;
      const { seq, by, at_ms: atMs, text } = preview;
      tell({ channelId: channel, seq, by, atMs, text, mention: false, unsure: mute === "mentions_only" });
    }
  }
}
