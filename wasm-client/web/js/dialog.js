// Dialogs: the platform's own, which keeps the focus inside and gives it back.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { errorText, t } from "./i18n.js";

let count = 0;

/** Opens one. `build(dialog)` returns its content; `dialog.close()` closes it, `dialog.signal` is aborted then. */
export function openDialog(title, build, { narrow = false } = {}) {
  const over = new AbortController();
  const id = `dialog-${++count}`;
  const dialog = h("dialog", { "aria-labelledby": id, class: narrow ? "narrow" : null });
  dialog.signal = over.signal;
  const trouble = h("p.trouble", { role: "alert" });
  dialog.trouble = (error) => (trouble.textContent = error ? errorText(error) : "");
  /** Does something that may fail, and says so. True if it did not. */
  dialog.attempt = async (act) => {
    trouble.textContent = "";
    try {
      await act();
      return true;
    } catch (error) {
      if (!over.signal.aborted) dialog.trouble(error);
      return false;
    }
  };
  dialog.append(
    h(
      "header",
      {},
      h("h2", { id }, title),
      h("button.round", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => dialog.close() }, icon("close")),
    ),
    h("div.inside", { tabindex: "-1" }, trouble, build(dialog)),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    over.abort();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector(".inside")).focus();
  return dialog;
}

/** Asks, and is fulfilled with the answer. */
export function confirmDialog(question, { yes, danger = false }) {
  return new Promise((resolve) => {
    let answer = false;
    const dialog = openDialog(
      t("sure"),
      (dialog) => [
        h("p", {}, question),
        h(
          "div.buttons",
          {},
          h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, t("cancel")),
          h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => ((answer = true), dialog.close()) }, yes),
        ),
      ],
      { narrow: true },
    );
    dialog.addEventListener("close", () => resolve(answer));
  });
}

export const section = (title, ...children) => h("section", {}, h("h3", {}, title), children);
