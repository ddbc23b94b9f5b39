// About a conversation: what notifies, and of groups the members, the title and how to join.

import { h, replace } from "./dom.js";
import { client, me } from "./session.js";
import { go } from "./app.js";
import { confirmDialog, openDialog, section } from "./dialog.js";
import { announce } from "./announce.js";
import { channelAvatar, person, seen, titleOf } from "./people.js";
import { people, personRow, picker, small } from "./pick.js";
import { t } from "./i18n.js";

const HOUR_MS = 3_600_000;
const RANK = { member: 0, poster: 1, admin: 2, owner: 3 };

export function infoDialog(channel) {
  const { info } = channel;
  if (!info) return;
  openDialog(titleOf(info), (dialog) => {
    const body = h("div", {});
    const draw = () => channel.info && replace(body, about(channel.info, channel, dialog));
    channel.addEventListener("info", ({ detail }) => (detail ? null : dialog.close()), { signal: dialog.signal });
    draw();
    return body;
  });
}

function about(info, channel, dialog) {
  const group = info.kind !== "direct";
  const admin = group && RANK[info.role] >= RANK.admin;
  const user = info.peer && person(info.peer);
  return [
    h(
      "div.card",
      {},
      channelAvatar(info),
      group ? h("p", {}, t("conversation.members", { count: info.memberCount })) : [h("p", {}, user?.handle ? `@${user.handle}` : ""), h("p.fine", {}, seen(info.peer))],
      user?.statusText && h("p", {}, user.statusText),
      user?.bio && h("p.bio", {}, user.bio),
    ),
    admin && titleForm(info, channel, dialog),
    muting(info, channel, dialog),
    group && members(info, channel, dialog, admin),
    admin && invite(channel, dialog),
    h("div.buttons", {}, group ? leaving(info, channel, dialog) : blocking(info, dialog)),
  ];
}

function titleForm(info, channel, dialog) {
  const input = h("input", { value: info.title, maxlength: 100, required: true, autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    dialog.attempt(async () => {
      await channel.setTitle(input.value.trim());
      announce(t("saved"));
    });
  };
  return h("form.inline", { onsubmit: submit }, h("label.field", {}, h("span", {}, t("info.groupTitle")), input), h("button", { type: "submit" }, t("save")));
}

function muting(info, channel, dialog) {
  const now = info.mute === "off" || info.mute === "mentions" ? info.mute : info.muted ? "until" : "off";
  const options = { off: t("mute.off"), mentions: t("mute.mentions"), hour: t("mute.hour"), day: t("mute.day"), until: t("mute.ever") };
  const value = { off: "off", mentions: "mentions", hour: () => ({ until: Date.now() + HOUR_MS }), day: () => ({ until: Date.now() + 24 * HOUR_MS }), until: { until: Infinity } };
  const change = ({ target }) => {
    const chosen = value[target.value];
    dialog.attempt(() => channel.setMute(typeof chosen === "function" ? chosen() : chosen));
  };
  return h(
    "label.field",
    {},
    h("span", {}, t("mute.title")),
    h("select", { onchange: change }, Object.entries(options).map(([key, label]) => h("option", { value: key, selected: key === now }, label))),
  );
}

function members(info, channel, dialog, admin) {
  const list = h("ul.people", { role: "list" });
  const adding = h("div", {});
  let ids = new Set();
  const act = (label, run, options) => small(label, () => dialog.attempt(run).then(draw), options);
  const roles = ["member", "admin"];
  async function draw() {
    const rows = await channel.members({ signal: dialog.signal });
    const users = new Map((await people(rows.map(({ userId }) => userId), dialog.signal)).map((user) => [user.id, user]));
    ids = new Set(users.keys());
    rows.sort((one, other) => RANK[other.role] - RANK[one.role]);
    replace(
      list,
      rows.map(({ userId, role }) => {
        const below = admin && userId !== me() && RANK[role] < RANK[info.role];
        const name = users.get(userId)?.displayName ?? "";
        const select = () =>
          h(
            "select.small",
            { "aria-label": t("info.roleOf", { name }), onchange: ({ target }) => dialog.attempt(() => channel.setRole(userId, target.value)).then(draw) },
            roles.filter((one) => RANK[one] < RANK[info.role]).map((one) => h("option", { value: one, selected: one === role }, t(`role.${one}`))),
          );
        return personRow(
          users.get(userId) ?? { id: userId, handle: "", displayName: "" },
          [
            below && info.role === "owner" && select(),
            below && act(t("info.kick"), async () => (await confirmDialog(t("info.kick.sure", { name }), { yes: t("info.kick"), danger: true })) && channel.kick(userId), { danger: true }),
          ],
          role !== "member" && ` · ${t(`role.${role}`)}`,
        );
      }),
    );
  }
  draw().catch((error) => dialog.signal.aborted || dialog.trouble(error));
  const add = () => {
    const people = picker(dialog, { label: t("info.add"), without: (id) => ids.has(id), act: ({ id }) => [act(t("info.add.one"), async () => (await channel.addMembers([id]), people.again()), { primary: true })] });
    replace(adding, people.element);
    people.field.focus();
  };
  return section(t("info.members"), admin && adding, admin && h("button.small", { type: "button", onclick: (event) => (event.target.remove(), add()) }, t("info.add")), list);
}

function invite(channel, dialog) {
  const place = h("div.invite", {});
  const draw = async () => {
    const code = await channel.inviteCode({ signal: dialog.signal });
    const link = code && `${location.origin}/join/${encodeURIComponent(code)}`;
    const copy = () => navigator.clipboard.writeText(link).then(() => announce(t("message.copied")), () => {});
    replace(
      place,
      link && h("input", { readonly: true, value: link, "aria-label": t("invite.link"), onfocus: ({ target }) => target.select() }),
      link && h("button", { type: "button", onclick: copy }, t("message.copy")),
      h("button", { type: "button", onclick: () => dialog.attempt(() => channel.newInviteCode()).then(draw) }, t(link ? "invite.another" : "invite.make")),
      link && h("button", { type: "button", onclick: () => dialog.attempt(() => channel.revokeInviteCode()).then(draw) }, t("invite.revoke")),
    );
  };
  draw().catch(() => {});
  return section(t("invite.link"), place);
}

function leaving(info, channel, dialog) {
  const end = (key, run) => async () => {
    if (!(await confirmDialog(t(`${key}.sure`, { name: info.title }), { yes: t(key), danger: true }))) return;
    if (await dialog.attempt(run)) {
      dialog.close();
      go("/", { instead: true });
    }
  };
  return [
    info.role !== "owner" && h("button.danger", { type: "button", onclick: end("info.leave", () => channel.leave()) }, t("info.leave")),
    info.role === "owner" && h("button.danger", { type: "button", onclick: end("info.delete", () => channel.deleteChannel()) }, t("info.delete")),
  ];
}

function blocking({ peer }, dialog) {
  if (peer === me()) return null;
  const block = async () => {
    const name = person(peer)?.displayName ?? "";
    if (await confirmDialog(t("friends.block.sure", { name }), { yes: t("friends.block"), danger: true })) await dialog.attempt(() => client.friends.block(peer));
  };
  return h("button.danger", { type: "button", onclick: block }, t("friends.block"));
}
