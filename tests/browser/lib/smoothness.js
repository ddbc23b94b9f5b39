// How smoothly the app scrolls with 10,000 messages loaded. `scripts/smoothness.sh` runs it and prints what it measured; it
// fails where that is bad. Frames are those of requestAnimationFrame, long tasks those that the browser reports (over 50 ms).

import { cpus, loadavg } from "node:os";
import { App } from "./app.js";

const MESSAGES = 10_000;
const app = await App.start();
const [kim, lee] = await Promise.all([app.person("kim"), app.person("lee")]);
const channel = await kim.message("lee");
const words = "the quick brown 여우가 jumps over a lazy 강아지 and nobody 아무도 minds at all".split(" ");

console.log(`sending ${MESSAGES} messages`);
for (let from = 0; from < MESSAGES; from += 500) {
  await kim.run(
    async (channel, from, words) => {
      const { client } = await import(document.querySelector('[href$="js/session.js"]').href);
      const text = (n) => Array.from({ length: 1 + ((n * 7) % 40) }, (_, i) => words[(n + i * i) % words.length]).join(" ");
      await Promise.all(Array.from({ length: 500 }, (_, i) => client.channel(channel).send(`${from + i}: ${text(from + i)}`).acknowledged));
    },
    channel,
    from,
    words,
  );
}
await lee.open(channel);
await lee.sees(`${MESSAGES - 1}:`);
const loaded = await lee.run(async (want) => {
  const list = document.querySelector("suda-messages");
  const scroller = list.querySelector(".scroller");
  scroller.dispatchEvent(new WheelEvent("wheel"));
  const since = performance.now();
  while (list.count < want && performance.now() - since < 110_000) {
    scroller.scrollTop = 0;
    await new Promise(requestAnimationFrame);
  }
  return { count: list.count, ms: Math.round(performance.now() - since) };
}, MESSAGES);
console.log(`loaded ${loaded.count} by scrolling up, in ${loaded.ms} ms`);

/** Scrolls by so many pixels in each frame. */
const scroll = async (pixels, frames) => {
  const list = document.querySelector("suda-messages");
  const scroller = list.querySelector(".scroller");
  const tasks = [];
  const observer = new PerformanceObserver((found) => tasks.push(...found.getEntries().map(({ duration }) => duration)));
  observer.observe({ type: "longtask" });
  const times = [];
  let rows = 0;
  let last = await new Promise(requestAnimationFrame);
  let empty = 0;
  for (let i = 0; i < frames; i++) {
    scroller.scrollTop += pixels;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
    rows = Math.max(rows, list.rendered);
    const box = scroller.getBoundingClientRect();
    if (!document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)?.closest(".item")) empty += 1;
  }
  observer.disconnect();
  times.sort((a, b) => a - b);
  const at = (part) => Number(times[Math.min(times.length - 1, Math.floor(times.length * part))].toFixed(1));
  return { frames, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1), longTasks: tasks.length, longest: Math.round(Math.max(0, ...tasks)), rows, empty };
};
console.log(`this machine: ${cpus().length} processors, a load of ${loadavg()[0].toFixed(1)} in the last minute`);
let bad = false;
for (const [name, pixels] of [["reading, up 40 px a frame", -40], ["fast, down 200 px a frame", 200], ["flinging, up 1,000 px a frame", -1_000], ["flinging, down 1,000 px a frame", 1_000]]) {
  const said = await lee.run(scroll, pixels, 600);
  console.log(`${name}: ${JSON.stringify(said)}`);
  bad ||= said.p99 > 50;
}
await app.stop();
if (bad) throw new Error("a hundredth of the frames took more than 50 ms");
