/** Times as people say them. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "now", "4 min", "3 h", "2 d". Clocks differ: what is in the future is now. */
export function age(at: number, now: number): string {
  const passed = Math.max(0, now - at);
  if (passed < 10_000) return "now";
  if (passed < MINUTE) return `${Math.floor(passed / 1000)} s`;
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h`;
  return `${Math.floor(passed / DAY)} d`;
}

/** "just now", "4 min ago". */
export function ago(at: number, now: number): string {
  const word = age(at, now);
  return word === "now" ? "just now" : `${word} ago`;
}

/** "14:32", and the day if it was another one. */
export function clock(at: number, now: number): string {
  const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
  return dayOf(at) === dayOf(now) ? time : `${dayName(at, now)} ${time}`;
}

/** "Today", "Yesterday", "3 Nov". */
export function dayName(at: number, now: number): string {
  if (dayOf(at) === dayOf(now)) return "Today";
  if (dayOf(at) === dayOf(now - DAY)) return "Yesterday";
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }).format(at);
}

/** The same for all moments of one day here. */
export function dayOf(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}
