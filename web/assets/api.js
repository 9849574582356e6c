// Calls the API: adds the token where a route needs one, and turns every failure into one of three errors.

import { parse } from "./json.js";

const TIMEOUT_MS = 20000;
const PAGE = 100; // items of a page of a list

/** The API refused the request. It holds the members of the problem document. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.title ?? `The API answered ${status}.`);
    this.status = status;
    this.faults = document.errors ?? [];
    this.parameter = document.parameter ?? null;
    this.requestId = document.request_id ?? null;
    this.outcome = document.outcome ?? null;
  }
}

/** The route needs a signed-in user, and there is none, or no longer. */
export class SignedOut extends Error {}

/** No answer came. */
export class Unreachable extends Error {}

export class Api {
  /**
   * @param {{api: string, documents: string|null}} config from config.json: the URL in front of /v1 ("" means this
   *   origin), and the URL of the documents at the edge (null if the stack has none there)
   * @param {import("./sign_in.js").SignIn|null} signIn
   */
  constructor(config, signIn) {
    this.base = `${config.api ?? ""}/v1`;
    this.documents = config.documents ?? null;
    this.signIn = signIn;
  }

  /** Return a page of a collection: {items, next}, and whether its source is beyond its budget. */
  async list(collection, cursor, signal) {
    const query = new URLSearchParams({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    const { data, headers } = await this.#send(`${this.base}/items/${collection.name}?${query}`, {
      collection,
      signal,
    });
    return { ...data, stale: headers.get("Readplane-Stale") === "true" };
  }

  /**
   * Return an item.
   *
   * Its document at the edge is the nearest copy, but it may be a little older. So a form, whose data is written back,
   * asks the API.
   *
   * @param {{version?: string|null, fresh?: boolean, signal: AbortSignal}} options
   *   version: the change that the item must contain, so that users read their own writes
   */
  async item(collection, id, { version = null, fresh = false, signal }) {
    const name = `${collection.name}/${encodeURIComponent(id)}`;
    if (!version && !fresh && this.documents) {
      try {
        return (await this.#send(`${this.documents}/${name}`, { collection, signal })).data;
      } catch (error) {
        if (!(error instanceof Problem)) throw error; // else the API may have what has no document yet
      }
    }
    const query = version ? `?${new URLSearchParams({ min_version: version })}` : "";
    return (await this.#send(`${this.base}/items/${name}${query}`, { collection, signal })).data;
  }

  /** Return the one document of a collection that a snapshot feeds. It has the members of an item. */
  async snapshot(collection, signal) {
    const base = this.documents ?? `${this.base}/documents`;
    return (await this.#send(`${base}/${collection.name}/current`, { collection, signal })).data;
  }

  /** Return how fresh the source of a collection is. */
  async freshness(collection, signal) {
    return (await this.#send(`${this.base}/sources/${collection.source}`, { collection, signal })).data;
  }

  /**
   * Write an item. It is accepted, but not yet applied, when this returns.
   *
   * @param {string|null} id null for a new item, to which the API gives an id
   * @param {string|null} version the version that the user has edited; the change then counts as newer than that
   * @param {string} [key] the same for each try of one new item, so that a second try doesn't make a second item
   * @returns {Promise<{id: string, version: string, status: string}>} `status` is the URL of the change's status
   */
  write(collection, id, body, { version = null, key } = {}) {
    const post = id === null;
    const headers = post ? { "Idempotency-Key": key } : {};
    return this.#change(collection, id, version, { method: post ? "POST" : "PUT", body, headers });
  }

  /** Delete an item. It is accepted, but not yet applied, when this returns. */
  remove(collection, id, version) {
    return this.#change(collection, id, version, { method: "DELETE" });
  }

  async #change(collection, id, version, options) {
    const path = `${this.base}/items/${collection.name}${id === null ? "" : `/${encodeURIComponent(id)}`}`;
    const query = version ? `?${new URLSearchParams({ min_version: version })}` : "";
    const { data, headers, url } = await this.#send(path + query, { collection, write: true, ...options });
    const status = new URL(headers.get("Location"), url).href; // relative to the request, like a link in a page
    return { id: data.item_id, version: data.change_id, status };
  }

  /** Return what became of a change: {status, reason}. @param {string} url `status` of `write` */
  async outcome(collection, url, signal) {
    return (await this.#send(url, { collection, signal })).data;
  }

  /**
   * @param {object} collection a token goes only with requests that need one: not with reads of public collections
   * @throws {Problem|SignedOut|Unreachable}
   */
  async #send(url, { collection, write = false, method = "GET", body, headers = {}, signal }) {
    const open = collection.read === "public" && !write;
    const request = { method, body, headers: { ...headers }, credentials: "omit", signal };
    if (body !== undefined) request.headers["Content-Type"] = "application/json";
    let response = await this.#fetch(url, request, open);
    // The token may have been revoked, or a clock may be wrong. Try once more with a new one.
    if (response.status === 401 && !open && (await this.#reach(this.signIn.renew()))) {
      response = await this.#fetch(url, request, open);
    }
    if (response.status === 401) {
      this.signIn?.forget();
      throw new SignedOut("Your sign-in has expired.");
    }
    const text = await this.#reach(response.text());
    let data = {};
    try {
      data = parse(text);
    } catch {
      // What isn't JSON comes from something between this page and the API.
    }
    if (!response.ok) throw new Problem(response.status, data ?? {});
    return { data, headers: response.headers, url: response.url };
  }

  async #fetch(url, request, open) {
    const headers = { ...request.headers };
    if (!open) {
      const token = this.signIn ? await this.#reach(this.signIn.token()) : null;
      if (!token) throw new SignedOut("Sign in to see this.");
      headers.Authorization = `Bearer ${token}`;
    }
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    return this.#reach(fetch(url, { ...request, headers, signal }), request.signal);
  }

  /** Wait for the network. A failure that the caller didn't cause means that nothing answers. */
  async #reach(promise, signal) {
    try {
      return await promise;
    } catch (error) {
      if (signal?.aborted || error instanceof SignedOut) throw error;
      throw new Unreachable(navigator.onLine ? "The API doesn't answer." : "You are offline.");
    }
  }
}
