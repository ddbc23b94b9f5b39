// What a screen reader should say though it is not where the reader is.

import { h } from "./dom.js";

const region = h("div.unseen", { role: "status", "aria-live": "polite", "aria-atomic": "true" });

export const announcer = () => region;

/** Says it. The same text twice is said twice. */
export function announce(text) {
  region.replaceChildren(h("span", {}, text));
}
