// Oneself, and how things are to be.

import { h, replace } from "./dom.js";
import { client, me, profile } from "./session.js";
import { announce } from "./announce.js";
import { confirmDialog, openDialog, section } from "./dialog.js";
import { drafts } from "./drafts.js";
import { ask, blocked, wanted } from "./notifications.js";
import { avatar, learn } from "./people.js";
import * as push from "./push.js";
import { LANGUAGES, languageChoice, setLanguage, t } from "./i18n.js";
import { THEMES, setTheme, theme } from "./preferences.js";
import { small } from "./pick.js";
import { ago } from "./time.js";

export function settingsDialog() {
  openDialog(t("settings.title"), (dialog) => [oneself(dialog), looks(), notifications(dialog), privacy(dialog), devices(dialog), account(dialog)]);
}

const choice = (label, options, chosen, onchange) =>
  h(
    "label.field",
    {},
    h("span", {}, label),
    h("select", { onchange: ({ target }) => onchange(target.value) }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))),
  );

const toggle = (label, checked, onchange) => h("label.toggle", {}, h("span", {}, label), h("input", { type: "checkbox", role: "switch", checked, onchange: ({ target }) => onchange(target.checked, target) }));

function oneself(dialog) {
  const form = h("form", { onsubmit: (event) => (event.preventDefault(), save()) });
  const input = (name, label, value, max) => h("label.field", {}, h("span", {}, label), h("input", { name, value, maxlength: max, autocomplete: "off" }));
  const save = () =>
    dialog.attempt(async () => {
      const { displayName, statusText, bio } = Object.fromEntries(new FormData(form));
      learn([await client.me.changeProfile({ displayName, statusText, bio })]);
      announce(t("saved"));
      form.querySelector("button").textContent = t("saved");
    });
  const draw = async () => {
    const own = await client.me.profile({ signal: dialog.signal });
    learn([own]);
    replace(
      form,
      h("div.card", {}, avatar(me()), h("p", {}, `@${own.handle}`)),
      input("displayName", t("auth.name"), own.displayName, 64),
      input("statusText", t("settings.status"), own.statusText, 80),
      input("bio", t("settings.bio"), own.bio, 300),
      h("button", { type: "submit" }, t("save")),
    );
  };
  draw().catch((error) => dialog.signal.aborted || dialog.trouble(error));
  return form;
}

function looks() {
  return section(
    t("settings.looks"),
    choice(t("settings.theme"), THEMES.map((name) => [name, t(`theme.${name}`)]), theme(), setTheme),
    choice(t("settings.language"), [["", t("theme.system")], ...Object.entries(LANGUAGES).map(([key, { name }]) => [key, name])], languageChoice(), setLanguage),
  );
}

/** Those of this browser, and what is true for all devices. */
function notifications(dialog) {
  const reach = h("p.fine", { role: "status" });
  const draw = () => (reach.textContent = blocked() ? t("settings.notify.blocked") : wanted() && push.reach ? t(`settings.notify.${push.reach}`) : "");
  push.worker.addEventListener("change", draw, { signal: dialog.signal });
  const notify = async (on, box) => {
    box.checked = await ask(on);
    draw();
  };
  draw();
  const part = section(t("settings.notify"), toggle(t("settings.notify.here"), wanted(), notify), reach);
  client.me.settings({ signal: dialog.signal }).then(
    ({ pushPreview, quietHours }) =>
      part.append(toggle(t("settings.notify.preview"), pushPreview, (on) => dialog.attempt(() => client.me.changeSettings({ pushPreview: on }))), ...quiet(dialog, quietHours)),
    () => {},
  );
  return part;
}

const EVERY_DAY = 0b111_1111;

/** When nothing notifies. */
function quiet(dialog, before) {
  const hours = before ?? { fromMinute: 22 * 60, toMinute: 7 * 60, days: EVERY_DAY };
  const clock = (minute) => [Math.floor(minute / 60), minute % 60].map((n) => String(n).padStart(2, "0")).join(":");
  const time = (label, minute) => h("label.field", {}, h("span", {}, label), h("input", { type: "time", required: true, value: clock(minute), onchange: () => save(true) }));
  const [from, to] = [time(t("settings.quiet.from"), hours.fromMinute), time(t("settings.quiet.to"), hours.toMinute)];
  const times = h("div.pair", { hidden: !before }, from, to);
  // One request after the other, each with what the fields say by then: two at once may arrive in the other order.
  let saving = Promise.resolve();
  const save = (on) => {
    times.hidden = !on;
    saving = saving.then(() =>
      dialog.attempt(async () => {
        const [fromMinute, toMinute] = [from, to].map((field) => field.querySelector("input").value).map((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
        // Hours are those of where one is.
        if (on) await client.me.changeProfile({ timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone });
        await client.me.changeSettings({ quietHours: on ? { fromMinute, toMinute, days: hours.days } : null });
      }),
    );
  };
  return [toggle(t("settings.quiet"), before !== null, save), times];
}

function privacy(dialog) {
  const part = section(t("settings.privacy"));
  const audience = (key, settings) =>
    choice(t(`settings.${key}`), ["everyone", "friends", "nobody"].map((who) => [who, t(`audience.${who}`)]), settings[key], (who) => dialog.attempt(() => client.me.changeSettings({ [key]: who })));
  client.me.settings({ signal: dialog.signal }).then(
    (settings) =>
      part.append(
        toggle(t("settings.appearOffline"), settings.appearOffline, (on) => dialog.attempt(() => client.me.changeSettings({ appearOffline: on }))),
        ...["directFrom", "friendRequestsFrom", "invitesFrom", "findByHandle"].map((key) => audience(key, settings)),
      ),
    () => {},
  );
  return part;
}

function devices(dialog) {
  const list = h("ul.people", { role: "list" });
  const draw = async () => {
    const rows = await client.devices.list({ signal: dialog.signal });
    replace(
      list,
      rows.map(({ id, name, seenAtMs, current }) =>
        h(
          "li",
          {},
          h("span.who", {}, h("strong", {}, name || t("settings.device")), h("span", {}, current ? t("settings.thisDevice") : ago(seenAtMs))),
          !current && h("span.acts", {}, small(t("settings.endDevice"), () => dialog.attempt(() => client.devices.logOut(id)).then(draw), { danger: true })),
        ),
      ),
    );
  };
  client.addEventListener("devices", draw, { signal: dialog.signal });
  draw().catch(() => {});
  return section(t("settings.devices"), list);
}

function account(dialog) {
  const password = (name, label, complete) => h("label.field", {}, h("span", {}, label), h("input", { type: "password", name, required: true, autocomplete: complete }));
  const change = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        const { old, fresh } = Object.fromEntries(new FormData(change));
        dialog.attempt(async () => {
          await client.changePassword(old, fresh);
          change.reset();
          announce(t("saved"));
        });
      },
    },
    password("old", t("settings.oldPassword"), "current-password"),
    password("fresh", t("settings.newPassword"), "new-password"),
    h("button", { type: "submit" }, t("settings.changePassword")),
  );
  const logOut = async () => {
    const question = client.outboxSize ? t("settings.logOut.unsent", { count: client.outboxSize }) : t("settings.logOut.sure");
    if (!(await confirmDialog(question, { yes: t("settings.logOut"), danger: true }))) return;
    drafts.forget();
    await client.logOut();
  };
  const save = () =>
    dialog.attempt(async () => {
      const address = URL.createObjectURL(await client.exportAccount());
      h("a", { href: address, download: "suda.jsonl" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    });
  const gone = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        const { mine } = Object.fromEntries(new FormData(gone));
        dialog.attempt(async () => {
          if (await confirmDialog(t("settings.deleteAccount.sure"), { yes: t("settings.deleteAccount"), danger: true })) await client.deleteAccount(mine);
        });
      },
    },
    password("mine", t("auth.password"), "current-password"),
    h("button.danger", { type: "submit" }, t("settings.deleteAccount")),
  );
  const another = new URL("/", location.href);
  another.searchParams.set("profile", /^\d+$/.test(profile) ? Number(profile) + 1 : 2);
  return section(
    t("settings.account"),
    h("div.buttons", {}, h("button", { type: "button", onclick: logOut }, t("settings.logOut")), h("a.button", { href: another.href, target: "_blank", rel: "noopener" }, t("settings.another"))),
    h("details", {}, h("summary", {}, t("settings.changePassword")), change),
    h("details", {}, h("summary", {}, t("settings.leave")), h("button", { type: "button", onclick: save }, t("settings.export")), gone),
  );
}
