// Who has got and read a message of one's own.

import { h, replace } from "./dom.js";
import { openDialog, section } from "./dialog.js";
import { people, personRow } from "./pick.js";
import { t } from "./i18n.js";

export function receiptsDialog(channel, item) {
  openDialog(
    t("receipts.title"),
    (dialog) => {
      const body = h("div", {});
      const draw = async () => {
        const { deliveredTo, readBy } = channel.receiptOf(item.seq);
        const all = await people(channel.receipts.map(({ userId }) => userId), dialog.signal);
        const read = new Set(readBy);
        const delivered = new Set(deliveredTo.filter((id) => !read.has(id)));
        const list = (title, users) => users.length > 0 && section(`${title} (${users.length})`, h("ul.people", { role: "list" }, users.map((user) => personRow(user))));
        replace(
          body,
          list(t("receipt.read"), all.filter(({ id }) => read.has(id))),
          list(t("receipt.delivered"), all.filter(({ id }) => delivered.has(id))),
          list(t("receipt.sent"), all.filter(({ id }) => !read.has(id) && !delivered.has(id))),
        );
      };
      channel.addEventListener("receipts", draw, { signal: dialog.signal });
      draw().catch((error) => dialog.signal.aborted || dialog.trouble(error));
      return body;
    },
    { narrow: true },
  );
}
