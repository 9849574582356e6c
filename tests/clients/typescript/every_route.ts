// Calls every route of the local stack with the generated client. `make test-clients` runs this program.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { configure, problemOf } from "./client.js";
import { example } from "./countries.js";
import {
  BackofficeApi,
  CountriesApi,
  CurrenciesApi,
  HealthApi,
  LanguagesApi,
  NoticesApi,
  ProfilesApi,
  StaffApi,
  SubdivisionsApi,
  TariffsApi,
  type Accepted,
  type ApiResponse,
  type Freshness,
  type FreshnessDocument,
} from "./readplane/index.js";

/** Returns a setting from the environment. */
function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} isn't set`);
  return value;
}

const url = setting("READPLANE_URL");
const anybody = configure({ url });
const user = configure({ url, token: async () => setting("USER_TOKEN") });
const editor = configure({ url, token: async () => setting("EDITOR_TOKEN") });
const backoffice = configure({ url, apiKey: setting("BACKOFFICE_KEY") });
const staff = configure({ url, apiKey: setting("STAFF_KEY"), token: async () => setting("USER_TOKEN") });

/**
 * Repeats a call until it succeeds, because S3 gets a document a moment after the item is applied. The moment is longer
 * while the stack publishes all items of a source's first poll.
 */
async function published<Value>(call: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; attempt < 600; attempt++) {
    try {
      return await call();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return call();
}

/** Checks that the Location of a write leads from the request's URL to the status of the change. */
async function checkLocation(path: string, response: ApiResponse<Accepted>): Promise<Accepted> {
  const change = await response.value();
  const location = new URL(response.raw.headers.get("Location") ?? "", url + path);
  const [, , collection] = path.split("/");
  assert.equal(location.href, `${url}/items/${collection}/${change.item_id}/changes/${change.change_id}`);
  return change;
}

async function health(): Promise<void> {
  const response = await new HealthApi(anybody).health();
  assert.equal(response.status, "ok");
}

/** Countries: anybody reads them, editors write them. The example has called all other routes. */
async function countries(): Promise<void> {
  await example(editor, anybody);
  const api = new CountriesApi(editor);
  const data = { alpha_2: "XD", alpha_3: "XDD", numeric: "992", name: "Documented", flag: "🏳" };
  const itemId = `XD-${randomUUID()}`; // an id that no earlier run has published
  const response = await api.replaceCountriesItemRaw({ itemId, countriesData: data });
  const written = await checkLocation(`/items/countries/${itemId}`, response);
  const document = await published(() => api.readCountriesDocument({ itemId }));
  assert.equal(document.version, written.change_id);
  assert.deepEqual(document.data, data);

  // A write with a condition is refused, and the item stays.
  const minVersion = [written.change_id];
  const refused = await problemOf(
    api.deleteCountriesItem({ itemId }, async ({ init }) => ({
      headers: { ...init.headers, "If-Match": `"${written.change_id}"` },
    })),
  );
  assert.equal(refused.status, 501);
  assert.equal(refused.parameter, "If-Match");
  const item = await api.readCountriesItem({ itemId, minVersion });
  assert.equal(item.version, written.change_id);
  await api.deleteCountriesItem({ itemId, minVersion });
}

/** Notices: signed-in users read them, editors write them. */
async function notices(): Promise<void> {
  const writer = new NoticesApi(editor);
  const reader = new NoticesApi(user);
  const until = "2030-01-31";
  const hello = { title: "Hello", until, hours: 1.25 };
  const response = await writer.createNoticesItemRaw({ noticesData: hello });
  const created = await checkLocation("/items/notices", response);
  const itemId = created.item_id;
  const changed = await writer.replaceNoticesItem({
    itemId,
    noticesData: { title: "Changed", until, priority: 9 },
    minVersion: [created.change_id],
  });
  const item = await reader.readNoticesItem({ itemId, minVersion: [created.change_id, changed.change_id] });
  assert.deepEqual(item.data, { title: "Changed", until, priority: 9 });
  const change = await reader.readNoticesChange({ itemId, changeId: created.change_id });
  assert.equal(change.status, "superseded");
  const document = await published(() => reader.readNoticesDocument({ itemId }));
  assert.equal(document.collection, "notices");
  const page = await reader.listNotices({ limit: 200 });
  assert.ok(page.items.some((listed) => listed.id === itemId));

  // A POST takes a key or min_version. The version of a POST with a key depends on nothing but the key and the body.
  const minVersion = [changed.change_id];
  const both = await problemOf(writer.createNoticesItem({ noticesData: hello, idempotencyKey: "x", minVersion }));
  assert.equal(both.status, 400);
  assert.equal(both.parameter, "min_version");

  const denied = await problemOf(reader.deleteNoticesItem({ itemId }));
  assert.equal(denied.status, 403);
  const unknown = await problemOf(new NoticesApi(anybody).readNoticesItem({ itemId }));
  assert.equal(unknown.status, 401);
  const deleted = await writer.deleteNoticesItem({ itemId });
  assert.equal(deleted.status, "accepted");
}

/** Profiles: each user reads and writes only their own. */
async function profiles(): Promise<void> {
  const api = new ProfilesApi(user);
  const profile = { display_name: "Alice", language: "en-GB", preferences: { theme: { dark: true } } };
  const created = await api.createProfilesItem({ profilesData: profile });
  const written = await api.replaceProfilesItem({ itemId: "me", profilesData: profile });
  const item = await api.readProfilesItem({ itemId: "me", minVersion: [written.change_id] });
  assert.deepEqual(item.data, profile);
  const document = await published(() => api.readProfilesDocument({ itemId: "me" }));
  assert.deepEqual(document.data.preferences, { theme: { dark: true } });
  const change = await api.readProfilesChange({ itemId: "me", changeId: written.change_id });
  assert.equal(change.status, "applied");
  const others = await problemOf(new ProfilesApi(editor).readProfilesItem({ itemId: "me" }));
  assert.equal(others.status, 404);
  for (const itemId of ["me", created.item_id]) {
    const deleted = await api.deleteProfilesItem({ itemId });
    await problemOf(api.readProfilesItem({ itemId, minVersion: [deleted.change_id] }));
  }
  const page = await api.listProfiles();
  assert.deepEqual(page, { items: [], next: null });
}

/** Checks the two representations of a source's freshness. */
function checkFreshness(freshness: Freshness, document: FreshnessDocument): void {
  assert.equal(freshness.stale, false);
  assert.equal(freshness.breaker, "closed");
  assert.equal(document.source, freshness.source);
  assert.ok(document.checked_at && document.fresh_as_of);
  assert.ok(freshness.staleness !== null && freshness.staleness < freshness.staleness_budget);
}

/** Subdivisions: anybody reads them. The source of the same name feeds them. */
async function subdivisions(): Promise<void> {
  const api = new SubdivisionsApi(anybody);
  const [first] = (await api.listSubdivisions({ limit: 1 })).items;
  assert.ok(first);
  const item = await api.readSubdivisionsItem({ itemId: first.id });
  assert.deepEqual(item, first);
  assert.equal(item.data.code, item.id);
  const document = await published(() => api.readSubdivisionsDocument({ itemId: first.id }));
  assert.deepEqual(document, first);
  const change = await api.readSubdivisionsChange({ itemId: first.id, changeId: first.version });
  assert.equal(change.status, "applied");
  checkFreshness(await api.readSubdivisionsSource(), await api.readSubdivisionsSourceDocument());
}

/** Languages: signed-in users read them. The source of the same name feeds them. */
async function languages(): Promise<void> {
  const api = new LanguagesApi(user);
  const item = await api.readLanguagesItem({ itemId: "de" });
  assert.equal(item.data.name, "German");
  // The client keeps the members that the schema allows but doesn't name.
  assert.deepEqual(item.data, { code: "de", alpha_3: "deu", name: "German", scope: "I", type: "L" });
  const document = await published(() => api.readLanguagesDocument({ itemId: "de" }));
  assert.deepEqual(document.data, item.data);
  const change = await api.readLanguagesChange({ itemId: "de", changeId: item.version });
  assert.equal(change.status, "applied");
  const page = await api.listLanguages({ limit: 3 });
  assert.equal(page.items.length, 3);
  assert.ok(page.next);
  checkFreshness(await api.readLanguagesSource(), await api.readLanguagesSourceDocument());
}

/** Currencies: the source publishes a snapshot, which is one document and no items. */
async function currencies(): Promise<void> {
  const api = new CurrenciesApi(anybody);
  const document = await published(() => api.readCurrenciesDocument({ itemId: "current" }));
  assert.ok(document.data.some((currency) => currency.code === "CHF"));
  const page = await api.listCurrencies();
  assert.deepEqual(page, { items: [], next: null });
  const missing = await problemOf(api.readCurrenciesItem({ itemId: "current" }));
  assert.equal(missing.status, 404);
  const change = await api.readCurrenciesChange({ itemId: "current", changeId: document.version });
  assert.ok(change.status);
  checkFreshness(await api.readCurrenciesSource(), await api.readCurrenciesSourceDocument());
}

/** Tariffs: anybody reads them, and the local stack has none. Their throttle is low, so the client has to wait. */
async function tariffs(): Promise<void> {
  const api = new TariffsApi(anybody);
  const page = await api.listTariffs();
  assert.deepEqual(page, { items: [], next: null });
  const item = await problemOf(api.readTariffsItem({ itemId: "standard" }));
  assert.equal(item.detail, "There is no such item.");
  const document = await problemOf(api.readTariffsDocument({ itemId: "standard" }));
  assert.equal(document.detail, "There is no such document.");
  const change = await problemOf(
    api.readTariffsChange({ itemId: "standard", changeId: "01941f29-7c00-7000-8000-000000000000" }),
  );
  assert.equal(change.status, 404);
}

/** Backends: API Gateway passes the requests on to the back office. */
async function backends(): Promise<void> {
  const api = new BackofficeApi(backoffice);
  const table = await api.getBackofficeBackend({ proxy: "languages.json" });
  assert.ok(table.rows.length > 0);
  await api.headBackofficeBackend({ proxy: "languages.json" });
  const refused = await problemOf(new BackofficeApi(anybody).getBackofficeBackend({ proxy: "languages.json" }));
  assert.equal(refused.status, 401);

  const colleagues = await new StaffApi(staff).getStaffBackend({ proxy: "languages.json" });
  assert.deepEqual(colleagues.rows, table.rows);
}

for (const part of [health, countries, notices, profiles, subdivisions, languages, currencies, tariffs, backends]) {
  await part();
  console.log(`${part.name} passed`);
}
