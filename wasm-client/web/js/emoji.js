// Emoji to react and to write with. The system has a better way to type any other.

import { h } from "./dom.js";
import { t } from "./i18n.js";

export const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

const ALL =
  "😀 😃 😄 😁 😆 😅 😂 🤣 🙂 😉 😊 😇 🥰 😍 😘 😋 😜 🤪 🤔 🤨 😐 🙄 😏 😴 😷 🤒 🤯 🥳 😎 🤓 😮 😳 🥺 😢 😭 😱 😡 🤬 💀 💩 " +
  "👍 👎 👌 ✌️ 🤞 🙏 👏 🙌 💪 👋 🫶 🤝 ❤️ 🧡 💛 💚 💙 💜 🖤 💔 ✨ 🎉 🔥 💯 ✅ ❌ ❓ ❗ ☕ 🍺 🍜 🍚 🍰 🐶 🐱 🌸 🌙 ☀️ 🌧️ ⏰";

export function emojiGrid(choose) {
  const button = (emoji) => h("button", { type: "button", role: "menuitem", "aria-label": emoji, onclick: () => choose(emoji) }, emoji);
  return h("div.emoji", { role: "group", "aria-label": t("message.moreEmoji") }, ALL.split(" ").map(button));
}
