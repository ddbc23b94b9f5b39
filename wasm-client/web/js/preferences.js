// What somebody chose for this browser: theme, language, notifications. Small, so it is in localStorage, and where that is
// refused it lasts as long as the page.

const memory = new Map();

export function read(key, otherwise = null) {
  try {
    const text = localStorage.getItem(key);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return memory.has(key) ? memory.get(key) : otherwise;
  }
}

export function write(key, value) {
  memory.set(key, value);
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or refused.
  }
}

/** Forgets everything whose name begins so. */
export function forget(beginning) {
  for (const key of memory.keys()) if (key.startsWith(beginning)) memory.delete(key);
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(beginning)) localStorage.removeItem(key);
  } catch {
    // There is nothing to forget.
  }
}

export const THEMES = ["system", "light", "dark"];

export const theme = () => read("suda:theme", "system");

export function setTheme(name) {
  write("suda:theme", name === "system" ? null : name);
  applyTheme();
}

export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** Another tab chose. */
addEventListener("storage", ({ key }) => key === "suda:theme" && applyTheme());
