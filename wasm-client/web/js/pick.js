// Choosing people: by the beginning of a handle, and among friends.

import { h, replace } from "./dom.js";
import { client, me } from "./session.js";
import { avatar, learn, person } from "./people.js";
import { t } from "./i18n.js";

const WAIT_MS = 200;

/** A field and a list. `act(user)` returns the buttons of a row; `without`: ids that are left out. */
export function picker(dialog, { label, act, friends = true, without = () => false }) {
  const list = h("ul.people", { role: "list" });
  const status = h("p.fine", { role: "status" });
  let near = [];
  let timer = 0;
  let turn = 0;
  const draw = (users, none) => {
    const shown = users.filter(({ id, handle }) => handle && id !== me() && !without(id));
    replace(list, shown.map((user) => personRow(user, act(user))));
    status.textContent = shown.length ? "" : none;
  };
  const look = async () => {
    const wanted = field.value.trim().replace(/^@/, "").toLowerCase();
    const mine = ++turn;
    if (!wanted) return draw(near, friends ? t("pick.hint") : "");
    try {
      const found = await client.users.search(wanted, { signal: dialog.signal });
      learn(found);
      if (mine === turn) draw(found, t("pick.nobody"));
    } catch (error) {
      if (mine === turn) dialog.trouble(error);
    }
  };
  const field = h("input", {
    type: "search",
    autofocus: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(look, WAIT_MS);
    },
  });
  const begin = async () => {
    if (friends) near = await friendsOf(dialog.signal);
    if (!field.value) look();
  };
  begin().catch(() => {});
  return { element: [h("label.field", {}, h("span", {}, label), field), list, status], again: look, field };
}

export async function friendsOf(signal) {
  const rows = await client.friends.list({ signal });
  return client.users.getMany(rows.map(({ userId }) => userId), { signal });
}

/** `{user or id}` as a row, with what can be done. */
export function personRow(user, buttons, more) {
  return h(
    "li",
    { "data-user": user.id },
    avatar(user.id, { dot: true }),
    h("span.who", {}, h("strong", {}, user.displayName || user.handle || t("person.gone")), h("span", {}, user.handle ? `@${user.handle}` : "", more)),
    h("span.acts", {}, buttons),
  );
}

export const small = (label, onclick, { primary = false, danger = false, ...props } = {}) =>
  h("button.small", { type: "button", class: primary ? "small primary" : danger ? "small danger" : null, onclick, ...props }, label);

/** Rows for ids, once their names are known. */
export async function people(ids, signal) {
  const users = await client.users.getMany(ids, { signal });
  learn(users);
  return users.map((user) => person(user.id) ?? user);
}
