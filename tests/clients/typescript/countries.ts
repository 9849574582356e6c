// A worked example: writes a country, reads it back, changes it, lists all pages, and deletes it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { problemOf } from "./client.js";
import {
  CountriesApi,
  ResponseError,
  type Configuration,
  type CountriesData,
  type CountriesItem,
} from "./readplane/index.js";

/** Returns every item of the collection, page by page. */
export async function* allCountries(api: CountriesApi): AsyncGenerator<CountriesItem> {
  let cursor: string | undefined;
  do {
    const page = await api.listCountries({ limit: 2, cursor });
    yield* page.items;
    cursor = page.next ?? undefined;
  } while (cursor);
}

/**
 * Runs the example.
 *
 * @param editor a caller who may write countries
 * @param anybody a caller without a token, who may only read
 */
export async function example(editor: Configuration, anybody: Configuration): Promise<void> {
  const writer = new CountriesApi(editor);
  const reader = new CountriesApi(anybody);
  const utopia: CountriesData = { alpha_2: "XU", alpha_3: "XUT", numeric: "990", name: "Utopia" };

  // Write the item. The response says that the write is durable. It is applied a moment later.
  const written = await writer.replaceCountriesItem({ itemId: "XU", countriesData: utopia });
  assert.equal(written.item_id, "XU");

  // Read your own write. Readplane responds 409 until the item has this version, and fetchWithRetries tries again.
  const item = await reader.readCountriesItem({ itemId: "XU", minVersion: [written.change_id] });
  assert.equal(item.version, written.change_id);
  assert.deepEqual(item.data, utopia);

  // Ask what became of the change.
  const change = await reader.readCountriesChange({ itemId: "XU", changeId: written.change_id });
  assert.deepEqual(change, { status: "applied", reason: null });

  // Ask for the item only if it has changed since. The ETag is the version in quotes.
  const unchanged = reader.readCountriesItem({ itemId: "XU", ifNoneMatch: `"${item.version}"` });
  await assert.rejects(unchanged, (error) => error instanceof ResponseError && error.response.status === 304);

  // Change the item. Name the version that you read, so that your write counts as newer, whatever clock stamps it.
  const edited = await writer.replaceCountriesItem({
    itemId: "XU",
    countriesData: { ...item.data, name: "New Utopia" },
    minVersion: [item.version],
  });
  assert.ok(edited.change_id > item.version);

  // Create an item under an id that Readplane chooses. A retry with the same key is the same change.
  const atlantis: CountriesData = { alpha_2: "XA", alpha_3: "XAT", numeric: "991", name: "Atlantis" };
  const create = { countriesData: atlantis, idempotencyKey: randomUUID() };
  const created = await writer.createCountriesItem(create);
  const repeated = await writer.createCountriesItem(create);
  assert.deepEqual(repeated, created);

  // Each method has a twin that ends in Raw and also returns the response's headers.
  const response = await reader.readCountriesItemRaw({ itemId: created.item_id, minVersion: [created.change_id] });
  assert.equal(response.raw.headers.get("ETag"), `"${created.change_id}"`);

  // The same key with another body is a 422.
  const reused = await problemOf(writer.createCountriesItem({ ...create, countriesData: utopia }));
  assert.equal(reused.status, 422);
  assert.equal(reused.parameter, "Idempotency-Key");

  // Walk over all pages.
  await reader.readCountriesItem({ itemId: "XU", minVersion: [edited.change_id] });
  const names = new Map<string, string>();
  for await (const country of allCountries(reader)) {
    names.set(country.id, country.data.name);
  }
  assert.equal(names.get("XU"), "New Utopia");
  assert.equal(names.get(created.item_id), "Atlantis");

  // Delete both items. When the deletion is applied, the item is a 404.
  for (const itemId of ["XU", created.item_id]) {
    const deleted = await writer.deleteCountriesItem({ itemId });
    const missing = await problemOf(reader.readCountriesItem({ itemId, minVersion: [deleted.change_id] }));
    assert.equal(missing.status, 404);
    assert.equal(missing.title, "Not Found");
  }

  // Data that doesn't fit the collection's schema is a 400. The problem document lists every fault with its place and
  // code.
  const misfit = { ...utopia, numeric: "X", name: "" };
  const wrong = await problemOf(writer.replaceCountriesItem({ itemId: "XU", countriesData: misfit }));
  assert.equal(wrong.status, 400);
  const faults = wrong.errors?.map((fault) => `${fault.pointer} ${fault.code}`).sort();
  assert.deepEqual(faults, ["/name min_length", "/numeric pattern"]);

  // Without a token a write is a 401.
  const unknown = await problemOf(reader.deleteCountriesItem({ itemId: "XU" }));
  assert.equal(unknown.status, 401);
}
