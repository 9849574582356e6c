// Words for names, times and members. This module has no state and touches no page.

const TITLES = ["title", "name", "display_name", "label", "subject", "code"];

/** Return a name such as `alpha_2` or `order-lines` as words: "Alpha 2", "Order lines". */
export function words(name) {
  const text = name.replaceAll(/[_-]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return what people call an item: its title, its name, its first short text, or else its id. */
export function titleOf(item) {
  const data = item.data ?? {};
  for (const name of TITLES) if (typeof data[name] === "string" && data[name].trim()) return data[name];
  const texts = Object.values(data).filter((value) => typeof value === "string" && value.trim() && value.length <= 80);
  return texts[0] ?? item.id;
}

/** Return a line of an item's other short members, for lists. */
export function summaryOf(item) {
  const title = titleOf(item);
  const short = Object.entries(item.data ?? {})
    .filter(([, value]) => ["string", "number"].includes(typeof value) || JSON.isRawJSON?.(value))
    .map(([name, value]) => [name, JSON.isRawJSON?.(value) ? value.rawJSON : String(value)])
    .filter(([, text]) => /[\p{L}\p{N}]/u.test(text) && text !== title && text.length <= 48);
  return short
    .slice(0, 3)
    .map(([, text]) => text)
    .join(" · ");
}

/** Whether an item contains every word of a search, in its id or in its data. */
export function matches(item, search) {
  const text = fold([item.id, ...texts(item.data)].join("\n"));
  return fold(search)
    .split(/\s+/)
    .every((word) => text.includes(word));
}

// All texts and numbers in a value, without the names of the members.
function texts(value) {
  if (typeof value !== "object" || value === null) return [String(value)];
  return JSON.isRawJSON?.(value) ? [value.rawJSON] : Object.values(value).flatMap(texts);
}

// Small letters without accents, so that "aland" finds "Åland".
function fold(text) {
  return text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase().trim();
}

const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Return a time as "3 minutes ago". @param {string} iso an RFC 3339 timestamp @param {number} now in milliseconds */
export function ago(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return iso;
  for (const [unit, size] of UNITS)
    if (Math.abs(seconds) >= size) return RELATIVE.format(-Math.round(seconds / size), unit);
  return "just now";
}

/** Return a duration in seconds as words: "45 seconds", "2 hours". */
export function duration(seconds) {
  for (const [unit, size] of UNITS) {
    if (seconds >= size * 1.5 || seconds === size) return count(Math.round(seconds / size), unit);
  }
  return count(Math.round(seconds), "second");
}

/** Return a number with its noun: "1 item", "2 items". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * Return the warning about a source, or null if its data is fresh.
 *
 * @param {{stale: boolean, staleness: number|null, staleness_budget: number, breaker: string|null}} freshness
 */
export function staleWarning(freshness) {
  const down = freshness.breaker === "open";
  if (freshness.staleness === null) {
    return down
      ? "The back office doesn't answer, and nothing has been read from it yet."
      : "Nothing has been read from the back office yet.";
  }
  const age = duration(freshness.staleness);
  const budget = duration(freshness.staleness_budget);
  if (freshness.stale) {
    const cause = down ? "The back office doesn't answer. " : "";
    return `${cause}This data is ${age} old. It should be at most ${budget} old.`;
  }
  return down ? `The back office doesn't answer. This data is ${age} old, which is still within its budget.` : null;
}
