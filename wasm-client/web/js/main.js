// The first thing that runs: what the page's policy wants, the look, the client, and then the app.

import "./trusted.js";
import { applyTheme } from "./preferences.js";
import { open } from "./session.js";
import { start } from "./app.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

applyTheme();
document.documentElement.lang = t.language;

try {
  await open();
  start();
} catch (error) {
  // Nothing can be done without the client, so this is all that there is to see.
  console.error(error);
  document.body.replaceChildren(
    h("main.alone", {}, h("h1", {}, "suda"), h("p", { role: "alert" }, t(error.code === "unsupported" ? "fatal.unsupported" : "fatal.failed")), h("p.fine", {}, error.message)),
  );
}
