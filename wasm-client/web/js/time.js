// Times as people say them.

import { t } from "./i18n.js";

const format = (options) => new Intl.DateTimeFormat(t.language, options);
const TIME = format({ hour: "numeric", minute: "2-digit" });
const WEEKDAY = format({ weekday: "short" });
const DAY = format({ month: "short", day: "numeric" });
const DAY_OF_YEAR = format({ year: "numeric", month: "short", day: "numeric" });
const LONG = format({ weekday: "long", month: "long", day: "numeric" });
const LONG_OF_YEAR = format({ weekday: "long", year: "numeric", month: "long", day: "numeric" });
const WHOLE = format({ dateStyle: "full", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(t.language, { numeric: "auto" });

const DAY_MS = 86_400_000;
const midnight = (ms) => new Date(ms).setHours(0, 0, 0, 0);

/** The same number for the same day. */
export const dayOf = midnight;
export const clock = (ms) => TIME.format(ms);
export const whole = (ms) => WHOLE.format(ms);

const daysAgo = (ms) => Math.round((midnight(Date.now()) - midnight(ms)) / DAY_MS);
const thisYear = (ms) => new Date(ms).getFullYear() === new Date().getFullYear();

/** In lists: as short as can be. */
export function short(ms) {
  const days = daysAgo(ms);
  if (days <= 0) return clock(ms);
  if (days === 1) return AGO.format(-1, "day");
  if (days < 7) return WEEKDAY.format(ms);
  return (thisYear(ms) ? DAY : DAY_OF_YEAR).format(ms);
}

/** Between the messages of two days. */
export function dayName(ms) {
  const days = daysAgo(ms);
  if (days === 0 || days === 1) return AGO.format(-days, "day");
  return (thisYear(ms) ? LONG : LONG_OF_YEAR).format(ms);
}

/** Such as "5 minutes ago". */
export function ago(ms) {
  const minutes = Math.floor((Date.now() - ms) / 60_000);
  if (minutes < 1) return t("time.now");
  if (minutes < 60) return AGO.format(-minutes, "minute");
  if (daysAgo(ms) === 0) return AGO.format(-Math.floor(minutes / 60), "hour");
  return daysAgo(ms) === 1 ? t("time.yesterday", { time: clock(ms) }) : short(ms);
}
