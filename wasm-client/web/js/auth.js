// Signing up and logging in.

import { client } from "./session.js";
import { Part, define, h, replace } from "./dom.js";
import { errorText, t } from "./i18n.js";

const HANDLE = "@?[A-Za-z0-9._]{3,32}";

class Auth extends Part {
  #signingUp = false;
  #closed = false;

  begin() {
    this.#draw();
    client.serverInfo({ signal: this.signal }).then(
      ({ signUp }) => {
        this.#closed = signUp !== "open";
        if (this.#closed) this.#draw();
      },
      () => {},
    );
  }

  #draw() {
    const up = this.#signingUp;
    const ended = client.link.state === "ended" && client.link.reason === "revoked" ? t("auth.revoked") : "";
    const trouble = h("p.trouble", { role: "alert" }, ended);
    const field = (label, props, hint) =>
      h("label.field", {}, h("span", {}, label), h("input", { required: true, autocapitalize: "none", spellcheck: "false", ...props }), hint && h("small", {}, hint));
    const handle = field(t("auth.handle"), { name: "handle", autocomplete: "username", maxlength: 32, pattern: up ? HANDLE : null, title: t("auth.handle.hint") }, up && t("auth.handle.hint"));
    const password = field(
      t("auth.password"),
      { name: "password", type: "password", autocomplete: up ? "new-password" : "current-password", minlength: up ? 8 : null },
      up && t("auth.password.hint"),
    );
    const displayName = up && field(t("auth.name"), { name: "displayName", autocomplete: "name", maxlength: 64, required: false, autocapitalize: "words" });
    const button = h("button.primary.wide", { type: "submit" }, t(up ? "auth.signUp" : "auth.logIn"));
    const other = h("button.quiet.wide", { type: "button", onclick: () => this.#turn() }, t(up ? "auth.toLogIn" : "auth.toSignUp"));
    const form = h("form", { onsubmit: (event) => this.#submit(event, form, trouble, button) }, handle, displayName, password, trouble, button);
    replace(
      this,
      h("main.auth", {}, h("header", {}, h("span.logo", { "aria-hidden": "true" }), h("h1", {}, "suda"), h("p", {}, t("auth.tagline"))), form, !this.#closed && other),
    );
    form.elements.handle.focus();
  }

  #turn() {
    this.#signingUp = !this.#signingUp;
    this.#draw();
  }

  async #submit(event, form, trouble, button) {
    event.preventDefault();
    const { handle, password, displayName } = Object.fromEntries(new FormData(form));
    button.disabled = true;
    trouble.textContent = "";
    const name = handle.trim().replace(/^@/, "").toLowerCase();
    try {
      if (this.#signingUp) await client.signUp({ handle: name, password, displayName: displayName.trim() || undefined });
      else await client.logIn(name, password);
    } catch (error) {
      trouble.textContent = error.code === "conflict" ? t("auth.taken") : errorText(error);
      form.elements[error.code === "wrong_credentials" ? "password" : "handle"].focus();
    } finally {
      button.disabled = false;
    }
  }
}

export const authScreen = define("suda-auth", Auth);
