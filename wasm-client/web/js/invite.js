// Somebody came by a link that lets them join.

import { h, replace } from "./dom.js";
import { client } from "./session.js";
import { go } from "./app.js";
import { openDialog } from "./dialog.js";
import { t } from "./i18n.js";

export function joinDialog(code) {
  openDialog(
    t("invite.title"),
    (dialog) => {
      const body = h("div.card", {}, h("p", {}, "…"));
      const join = () =>
        dialog.attempt(async () => {
          const channel = await client.join(code);
          dialog.close();
          go(`/c/${channel.id}`);
        });
      client.lookAtInvite(code, { signal: dialog.signal }).then(
        ({ title, memberCount }) =>
          replace(
            body,
            h("strong", {}, title),
            h("p", {}, t("conversation.members", { count: memberCount })),
            h("button.primary.wide", { type: "button", onclick: join }, t("invite.join")),
          ),
        (error) => dialog.signal.aborted || (replace(body), dialog.trouble(error)),
      );
      return body;
    },
    { narrow: true },
  );
}
