const PATIENCE_MS = 30_000;

/** Waits until `look` gives something true, and returns it. Tests wait for what they wait for, with a limit. */
export async function waitFor(what, look, withinMs = PATIENCE_MS) {
  const until = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > until) throw new Error(`waited ${withinMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
