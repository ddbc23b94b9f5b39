// A new conversation: with one, or a group with a title.

import { h, replace } from "./dom.js";
import { client } from "./session.js";
import { go } from "./app.js";
import { openDialog } from "./dialog.js";
import { picker, small } from "./pick.js";
import { t } from "./i18n.js";

export function newChatDialog() {
  openDialog(t("new.title"), (dialog) => {
    const chosen = new Map();
    const chips = h("div.chips", {});
    const title = h("input", { name: "title", maxlength: 100, autocomplete: "off" });
    const make = h("button.primary.wide", { type: "submit" }, t("new.make"));
    const group = h(
      "form.group",
      { hidden: true, onsubmit: (event) => (event.preventDefault(), create()) },
      h("label.field", {}, h("span", {}, t("new.groupTitle")), title),
      make,
    );
    const open = (channel) => {
      dialog.close();
      go(`/c/${channel.id}`);
    };
    const create = () =>
      dialog.attempt(async () => {
        make.disabled = true;
        try {
          const names = [...chosen.values()].map((user) => user.displayName || user.handle);
          open(await client.createChannel({ title: title.value.trim() || names.slice(0, 4).join(", ").slice(0, 100) || t("new.untitled"), members: [...chosen.keys()] }));
        } finally {
          make.disabled = false;
        }
      });
    const draw = () => {
      replace(
        chips,
        [...chosen.values()].map((user) => h("button.chip", { type: "button", "aria-label": t("new.unpick", { name: user.displayName }), onclick: () => pick(user) }, user.displayName || user.handle, " ×")),
      );
      group.hidden = chosen.size === 0;
    };
    const pick = (user) => {
      if (!chosen.delete(user.id)) chosen.set(user.id, user);
      draw();
      people.again();
    };
    const people = picker(dialog, {
      label: t("new.with"),
      act: (user) => [
        small(chosen.has(user.id) ? t("new.picked") : t("new.pick"), () => pick(user), { "aria-pressed": String(chosen.has(user.id)) }),
        small(t("new.message"), () => dialog.attempt(async () => open(await client.openDirect(user.id))), { primary: true }),
      ],
    });
    draw();
    return [people.element[0], chips, group, people.element.slice(1)];
  });
}
