// Follows a change from accepted to applied. This module touches no page.

import { Problem, Unreachable } from "./api.js";

const FIRST_MS = 250;
const LONGEST_MS = 2000;
const GIVE_UP_MS = 120000;

/**
 * Ask what became of a change until it is decided.
 *
 * The first questions come quickly, then one every two seconds. After two minutes this ends, although the change is
 * accepted and may still be applied. On AWS that takes a minute as a rule.
 *
 * @param {() => Promise<{status: string, reason: string|null}>} ask
 * @param {{sleep?: (ms: number) => Promise<void>, now?: () => number}} clock
 * @returns {Promise<{status: "applied"|"superseded"|"quarantined"|"unknown"|"late", reason?: string|null}>}
 *   unknown: the API doesn't know the change; late: two minutes have passed
 */
export async function follow(ask, { sleep = wait, now = () => performance.now() } = {}) {
  const start = now();
  for (let pause = FIRST_MS; ; pause = Math.min(pause * 2, LONGEST_MS)) {
    try {
      const outcome = await ask();
      if (outcome.status !== "pending") return outcome;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return { status: "unknown" };
      const passing = error instanceof Unreachable || (error instanceof Problem && [429, 503].includes(error.status));
      if (!passing) throw error;
    }
    if (now() - start + pause > GIVE_UP_MS) return { status: "late" };
    await sleep(pause);
  }
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const WRITTEN = "readplane.written";
const REMEMBERED = 50; // items

/**
 * The changes of this tab. A change's place is "collection/id".
 *
 * Their versions outlive a reload, in sessionStorage, so that users read their own writes afterwards too.
 */
export class Changes {
  #newest = new Map();

  /** @param {(change: object) => void} onchange called whenever a change's status changes */
  constructor(onchange) {
    this.onchange = onchange;
  }

  /**
   * Follow an accepted change, and tell `onchange` of each step.
   *
   * @param {{collection: object, id: string, version: string, title: string, removes: boolean}} change
   * @param {() => Promise<object>} ask as in `follow`
   */
  async add(change, ask) {
    const place = `${change.collection.name}/${change.id}`;
    const entry = { ...change, status: "pending", reason: null };
    this.#newest.set(place, entry);
    this.#remember(place, entry.removes ? null : entry.version);
    this.onchange(entry);
    try {
      Object.assign(entry, await follow(ask));
    } catch {
      entry.status = "late"; // signed out meanwhile, or the API refuses: nobody knows yet
    }
    this.onchange(entry);
    return entry;
  }

  /** Return the newest change of an item by this tab, or undefined. */
  of(collection, id) {
    return this.#newest.get(`${collection.name}/${id}`);
  }

  /**
   * Return the version that this tab has given an item and that a read must contain; null if there is none, or if the
   * version isn't applied yet or never will be.
   */
  version(collection, id) {
    const change = this.of(collection, id);
    if (change) return change.status === "applied" ? change.version : null;
    return written()[`${collection.name}/${id}`] ?? null;
  }

  /** Forget all, because the user has signed out. */
  clear() {
    this.#newest.clear();
    sessionStorage.removeItem(WRITTEN);
  }

  #remember(place, version) {
    const { [place]: _, ...others } = written();
    const entries = [...Object.entries(others), ...(version ? [[place, version]] : [])];
    sessionStorage.setItem(WRITTEN, JSON.stringify(Object.fromEntries(entries.slice(-REMEMBERED))));
  }
}

function written() {
  return JSON.parse(sessionStorage.getItem(WRITTEN) ?? "{}");
}
