// Making elements. Text goes in as text nodes and attributes by name; nothing here takes markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "indeterminate"]);

/** `h("button.primary#go", { type: "button", onclick: act }, "Go")`. Children that are null or false are left out. */
export function h(name, props, ...children) {
  const [, tag, rest] = /^([a-z0-9-]+)(.*)$/.exec(name);
  return fill(document.createElement(tag), rest, props, children);
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for SVG. */
export function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), "", props, children);
}

export function fill(element, rest, props, children) {
  for (const [part, sign, word] of rest.matchAll(/([.#])([\w-]+)/g)) {
    if (sign === ".") element.classList.add(word);
    else if (part) element.id = word;
  }
  for (const [key, value] of Object.entries(props ?? {})) set(element, key, value);
  element.append(...flat(children));
  return element;
}

function set(element, key, value) {
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (PROPERTIES.has(key)) element[key] = value;
  else if (value === true) element.setAttribute(key, "");
  else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
}

const flat = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== true);

export const replace = (element, ...children) => element.replaceChildren(...flat(children));

/** A part of the page that listens for as long as it is in it. */
export class Part extends HTMLElement {
  #over = new AbortController();

  connectedCallback() {
    if (this.#over.signal.aborted) this.#over = new AbortController();
    this.begin?.();
  }

  disconnectedCallback() {
    this.#over.abort();
    this.end?.();
  }

  /** Aborted when the part leaves the page. */
  get signal() {
    return this.#over.signal;
  }

  listen(target, types, listener, options) {
    for (const type of types.split(" ")) target.addEventListener(type, listener, { ...options, signal: this.signal });
  }
}

export function define(name, part) {
  customElements.define(name, part);
  return (...args) => Object.assign(document.createElement(name), ...args);
}

/** Whether there are fingers and a keyboard on the screen, rather than keys and a mouse. */
export const touches = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

/** Once for all calls in a frame; soon also where frames are not drawn, as in hidden tabs. */
export function framed(act) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    const run = () => {
      waiting = false;
      act();
    };
    if (document.visibilityState === "hidden") setTimeout(run);
    else requestAnimationFrame(run);
  };
}
