// Friends: who asks, who is one, who was asked, who is blocked; and asking by handle.

import { h, replace } from "./dom.js";
import { client } from "./session.js";
import { go } from "./app.js";
import { confirmDialog, openDialog, section } from "./dialog.js";
import { changes, seen } from "./people.js";
import { people, personRow, picker, small } from "./pick.js";
import { t } from "./i18n.js";

export function friendsDialog() {
  openDialog(t("friends.title"), (dialog) => {
    const { friends } = client;
    const lists = h("div", {});
    const states = new Map();
    const act = (label, run, options) => small(label, () => dialog.attempt(run).then(draw), options);
    const message = (id) =>
      act(
        t("new.message"),
        async () => {
          const channel = await client.openDirect(id);
          dialog.close();
          go(`/c/${channel.id}`);
        },
        { primary: true },
      );
    const sure = async (question, yes, run) => (await confirmDialog(question, { yes, danger: true })) && run();

    const asking = picker(dialog, {
      label: t("friends.find"),
      friends: false,
      act: ({ id }) =>
        ({
          friend: [message(id)],
          sent: [act(t("friends.takeBack"), () => friends.remove(id))],
          received: [act(t("friends.accept"), () => friends.accept(id), { primary: true })],
          blocked: [act(t("friends.unblock"), () => friends.unblock(id))],
        })[states.get(id)] ?? [act(t("friends.ask"), () => friends.request(id), { primary: true })],
    });

    const kinds = [
      ["received", t("friends.received"), friends.received, (id) => [act(t("friends.accept"), () => friends.accept(id), { primary: true }), act(t("friends.refuse"), () => friends.refuse(id))]],
      [
        "friend",
        t("friends.list"),
        friends.list,
        (id, name) => [
          message(id),
          act(t("friends.remove"), () => sure(t("friends.remove.sure", { name }), t("friends.remove"), () => friends.remove(id))),
          act(t("friends.block"), () => sure(t("friends.block.sure", { name }), t("friends.block"), () => friends.block(id)), { danger: true }),
        ],
      ],
      ["sent", t("friends.sent"), friends.sent, (id) => [act(t("friends.takeBack"), () => friends.remove(id))]],
      ["blocked", t("friends.blocked"), friends.blocked, (id) => [act(t("friends.unblock"), () => friends.unblock(id))]],
    ];

    let turn = 0;
    async function draw() {
      const mine = ++turn;
      const { signal } = dialog;
      try {
        const parts = await Promise.all(
          kinds.map(async ([kind, title, list, buttons]) => {
            const rows = await list.call(friends, { signal });
            const users = await people(rows.map(({ userId }) => userId), signal);
            return { kind, title, users, buttons };
          }),
        );
        if (mine !== turn || signal.aborted) return;
        states.clear();
        for (const { kind, users } of parts) for (const { id } of users) states.set(id, kind);
        const shown = parts.filter(({ users, kind }) => users.length || kind === "friend");
        replace(
          lists,
          shown.map(({ kind, title, users, buttons }) =>
            section(
              title,
              users.length
                ? h("ul.people", { role: "list" }, users.map((user) => personRow(user, buttons(user.id, user.displayName), kind === "friend" && seen(user.id) && ` · ${seen(user.id)}`)))
                : h("p.fine", {}, t("friends.none")),
            ),
          ),
        );
        asking.again();
      } catch (error) {
        if (!signal.aborted) dialog.trouble(error);
      }
    }
    client.addEventListener("friends", draw, { signal: dialog.signal });
    changes.addEventListener("presence", draw, { signal: dialog.signal });
    draw();
    return [asking.element, lists];
  });
}
