// Languages. A text is a string with {names}, or a function of the same parameters where a language has plurals or particles.

import { read, write } from "./preferences.js";
import { en } from "../i18n/en.js";
import { ko } from "../i18n/ko.js";

export const LANGUAGES = { en: { texts: en, name: "English" }, ko: { texts: ko, name: "한국어" } };

function chosen() {
  const wanted = [read("suda:language"), ...(navigator.languages ?? [])];
  for (const language of wanted) {
    const short = language?.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short;
  }
  return "en";
}

const language = chosen();
const { texts } = LANGUAGES[language];

/** The text in the page's language. */
export function t(key, params = {}) {
  const text = texts[key] ?? en[key];
  if (text === undefined) return key;
  if (typeof text === "function") return text(params);
  return text.replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole);
}

t.language = language;
t.has = (key) => key in en;

export const languageChoice = () => read("suda:language", "");

/** Everything is drawn anew, by loading the page: what it shows comes from the cache. */
export function setLanguage(name) {
  write("suda:language", name || null);
  location.reload();
}

/** What went wrong, for people. */
export function errorText(error) {
  const key = `error.${error?.code}`;
  return t.has(key) ? t(key) : t("error.other");
}
