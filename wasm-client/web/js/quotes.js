// Messages that others answer, where they are not among those that are shown.

const KEPT_MAX = 500;

export class Quotes {
  #channel;
  #changed;
  #found = new Map();

  constructor(channel, changed) {
    [this.#channel, this.#changed] = [channel, changed];
  }

  /** The item, null if there is none, undefined if it is being asked for. */
  get(seq, items) {
    const shown = find(items, seq);
    if (shown) return shown.type === "message" ? shown : null;
    if (!this.#found.has(seq)) this.#ask(seq);
    return this.#found.get(seq);
  }

  #ask(seq) {
    if (this.#found.size >= KEPT_MAX) this.#found.delete(this.#found.keys().next().value);
    this.#found.set(seq, undefined);
    this.#channel.message(seq).then(
      (item) => {
        this.#found.set(seq, item);
        this.#changed();
      },
      () => this.#found.delete(seq),
    );
  }
}

/** Items are in the order of their seqs, those without one last. */
function find(items, seq) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle].seq ?? Infinity) < seq) low = middle + 1;
    else high = middle;
  }
  return items[low]?.seq === seq ? items[low] : null;
}
