// A long list of which only what is near the view is in the page. Heights of rows that were there are remembered, others are
// guessed; whatever turns out otherwise is put right without moving what is being read.

import { framed } from "./dom.js";

/** How far rows reach beyond the view, in pixels, and how near the view may come to their end before there are more. */
const BEYOND = 1_600;
const NEAR = 700;
/** Nearer to the bottom than this counts as being there. */
const AT_END = 48;

export class Window {
  #scroller;
  #top = document.createElement("div");
  #body = document.createElement("div");
  #bottom = document.createElement("div");
  #items = [];
  #heights = [];
  #measured = new Map();
  #rows = new Map();
  #from = 0;
  #to = 0;
  #draw;
  #stick = true;
  #scrolled;
  #sizes;

  /**
   * `guess(item)`: how high a row may be. `draw(index, row)`: the row's element, or the one that `row` has if it would be the
   * same. `scrolled()`: the view has moved.
   */
  constructor(scroller, { guess, draw, scrolled }) {
    [this.#scroller, this.guess, this.#draw, this.#scrolled] = [scroller, guess, draw, scrolled];
    this.#body.className = "rows";
    this.head = document.createElement("div");
    scroller.append(this.head, this.#top, this.#body, this.#bottom);
    scroller.addEventListener("scroll", framed(() => this.#moved()), { passive: true });
    // The view's own size changes with the keyboard and the composer, the rows' with fonts and what is opened in them.
    this.#sizes = new ResizeObserver(() => this.#stick && this.toEnd());
    this.#sizes.observe(scroller);
    this.#sizes.observe(this.#body);
  }

  stop() {
    this.#sizes.disconnect();
  }

  get atEnd() {
    return this.#stick;
  }

  /** How far the view is from the first row, and how high it is. */
  get fromTop() {
    return this.#scroller.scrollTop - this.head.offsetHeight;
  }
  get view() {
    return this.#scroller.clientHeight;
  }
  get fromEnd() {
    return this.#scroller.scrollHeight - this.#scroller.scrollTop - this.#scroller.clientHeight;
  }

  /** Other items. `reset`: they have nothing to do with those before. */
  set(items, { reset = false } = {}) {
    const anchor = reset ? null : this.#anchor();
    const first = this.#items[this.#from]?.key;
    const count = this.#to - this.#from;
    this.#items = items;
    this.#heights = items.map((item) => this.#measured.get(item.key) ?? this.guess(item));
    if (this.#measured.size > 4 * items.length + 1_000) this.#measured = new Map(items.map((item, i) => [item.key, this.#heights[i]]));
    if (this.#stick || count === 0) {
      this.#paint(this.#startFor(items.length), items.length);
      this.toEnd();
      return;
    }
    let from = first === undefined ? -1 : items.findIndex(({ key }) => key === first);
    if (from < 0) from = Math.max(0, Math.min(this.#from, items.length - count));
    this.#paint(from, Math.min(items.length, from + count));
    this.#restore(anchor);
    this.#moved();
  }

  /** The same items; what else rows depend on has changed. */
  refresh() {
    const anchor = this.#anchor();
    this.#paint(this.#from, this.#to);
    if (this.#stick) this.toEnd();
    else this.#restore(anchor);
  }

  toEnd() {
    if (this.#to < this.#items.length) this.#paint(this.#startFor(this.#items.length), this.#items.length);
    this.#stick = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Shows the row at this index, its top at this part of the view. False if there is none. */
  toIndex(index, part = 0.3) {
    if (index < 0 || index >= this.#items.length) return false;
    let from = index;
    for (let height = 0; from > 0 && height < BEYOND; ) height += this.#heights[--from];
    let to = index;
    for (let height = 0; to < this.#items.length && height < BEYOND + this.view; ) height += this.#heights[to++];
    this.#paint(from, to);
    const element = this.element(this.#items[index].key);
    const top = element.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    this.#scroller.scrollTop += top - this.view * part;
    this.#stick = this.fromEnd < AT_END && this.#to === this.#items.length;
    return true;
  }

  element(key) {
    return this.#rows.get(key)?.element ?? null;
  }

  indexOf(key) {
    for (let i = this.#from; i < this.#to; i++) if (this.#items[i].key === key) return i;
    return this.#items.findIndex((item) => item.key === key);
  }

  /** The indexes of the rows in the view: first and last. */
  visible() {
    const box = this.#scroller.getBoundingClientRect();
    let [first, last] = [-1, -1];
    for (let i = this.#from; i < this.#to; i++) {
      const row = this.element(this.#items[i].key).getBoundingClientRect();
      if (row.bottom <= box.top) continue;
      if (row.top >= box.bottom) break;
      if (first < 0) first = i;
      last = i;
    }
    return [first, last];
  }

  get rendered() {
    return this.#to - this.#from;
  }

  // ---- moving

  #startFor(end) {
    let start = end;
    for (let height = 0; start > 0 && height < this.view + BEYOND; ) height += this.#heights[--start];
    return start;
  }

  #moved() {
    if (!this.#scroller.isConnected) return;
    this.#stick = this.fromEnd < AT_END && this.#to === this.#items.length;
    const above = this.#scroller.scrollTop - this.#body.offsetTop;
    const below = this.#body.offsetTop + this.#body.offsetHeight - this.#scroller.scrollTop - this.view;
    if ((this.#from > 0 && above < NEAR) || (this.#to < this.#items.length && below < NEAR)) this.#shift();
    this.#scrolled();
  }

  /** Rows around the view. */
  #shift() {
    const anchor = this.#anchor();
    this.#measure(this.#from, this.#to);
    const start = this.fromTop - BEYOND;
    const end = this.fromTop + this.view + BEYOND;
    let [from, at] = [0, 0];
    while (from < this.#items.length && at + this.#heights[from] <= start) at += this.#heights[from++];
    let to = from;
    while (to < this.#items.length && at < end) at += this.#heights[to++];
    this.#paint(Math.min(from, Math.max(0, this.#items.length - 1)), to);
    this.#restore(anchor);
  }

  /** The first row in the view, and where it is. */
  #anchor() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (let i = this.#from; i < this.#to; i++) {
      const key = this.#items[i]?.key;
      const box = this.element(key)?.getBoundingClientRect();
      if (box && box.bottom > top) return { key, at: box.top - top };
    }
    return null;
  }

  #restore(anchor) {
    const element = anchor && this.element(anchor.key);
    if (!element) return;
    const moved = element.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top - anchor.at;
    if (Math.abs(moved) >= 1) this.#scroller.scrollTop += moved;
  }

  #measure(from, to) {
    for (let i = from; i < to; i++) {
      const { key } = this.#items[i];
      const height = this.#rows.get(key)?.element.offsetHeight;
      if (!height) continue;
      this.#heights[i] = height;
      this.#measured.set(key, height);
    }
  }

  #paint(from, to) {
    [this.#from, this.#to] = [from, to];
    const wanted = new Set();
    for (let i = from; i < to; i++) wanted.add(this.#items[i].key);
    const keep = new Map();
    let next = this.#body.firstChild;
    for (let i = from; i < to; i++) {
      const { key } = this.#items[i];
      const old = this.#rows.get(key);
      const row = this.#draw(i, old);
      keep.set(key, row);
      if (old && old.element !== row.element) {
        if (old.element === next) next = next.nextSibling;
        const focused = old.element.contains(document.activeElement);
        old.element.remove();
        if (focused) queueMicrotask(() => row.element.focus({ preventScroll: true }));
      }
      // Those between are gone, or come later.
      while (next && next !== row.element && !wanted.has(next.dataset.key)) next = drop(next);
      if (row.element === next) next = next.nextSibling;
      else this.#body.insertBefore(row.element, next);
    }
    while (next) next = drop(next);
    this.#rows = keep;
    const sum = (start, end) => {
      let total = 0;
      for (let i = start; i < end; i++) total += this.#heights[i];
      return total;
    };
    this.#top.style.height = `${sum(0, from)}px`;
    this.#bottom.style.height = `${sum(to, this.#items.length)}px`;
  }
}

function drop(element) {
  const next = element.nextSibling;
  element.remove();
  return next;
}
