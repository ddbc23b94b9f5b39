// Hours in which nothing notifies. What is pushed the server holds back by the same rule; this is for tabs.

import { client, me } from "./session.js";

const WEEK = 7;
let hours = null;
/** How often it was asked: the answer that counts is the last question's. */
let asked = 0;

export function listen() {
  client.addEventListener("session", () => {
    hours = null;
    learn();
  });
  // Changed here, or on another device.
  client.addEventListener("profile", learn);
  client.addEventListener("link", ({ detail }) => detail.state === "online" && learn());
  learn();
}

async function learn() {
  const mine = ++asked;
  if (!me()) return;
  const settings = await client.me.settings().catch(() => null);
  if (settings && mine === asked) hours = settings.quietHours;
}

export const isQuiet = (now = new Date()) => hours !== null && covers(hours, now.getHours() * 60 + now.getMinutes(), (now.getDay() + WEEK - 1) % WEEK);

/** Days begin with Monday. From and to the same: the whole day. */
export function covers({ fromMinute, toMinute, days }, minute, weekday) {
  const begunOn = (day) => (days >> (day % WEEK)) & 1;
  if (fromMinute < toMinute) return Boolean(begunOn(weekday)) && minute >= fromMinute && minute < toMinute;
  return Boolean((minute >= fromMinute && begunOn(weekday)) || (minute < toMinute && begunOn(weekday + WEEK - 1)));
}
