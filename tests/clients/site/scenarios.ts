// What people do on the site, and what may go wrong. run.ts runs one exported function in a new browser.
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Tab } from "./tab.ts";

const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
const REFUSED = /error: Failed to load resource: the server responded with a status of /;

/** Make a notice as the editor, and return its title. The tab must be signed in. */
async function makeNotice(tab: Tab, title: string): Promise<void> {
  await tab.open("#/new/notices");
  await tab.page.getByLabel("Title").fill(title);
  await tab.button("Save").click();
  await tab.applied(title);
}

/** Answer the API's requests of a kind with this. */
async function answer(tab: Tab, path: RegExp, status: number, body: unknown, headers = {}): Promise<void> {
  await tab.page.route(
    (url) => path.test(url.pathname),
    (route) =>
      route.fulfill({
        status,
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
  );
}

// --- The journey

export async function journey(tab: Tab): Promise<void> {
  const title = `Closed on ${tab.settings.unique}`;
  await tab.open();
  await tab.heading("Readplane").waitFor();
  await tab.check();

  // Browse and search.
  await tab.link("Countries").click();
  await tab.heading("Countries").waitFor();
  assert.equal(await tab.focused(), "h1 Countries", "the focus goes to the new page");
  await tab.page.getByText("100 loaded items", { exact: true }).waitFor();
  await tab.check();
  await tab.button("Load more").click();
  await tab.page.getByText("200 loaded items", { exact: true }).waitFor();
  await tab.button("Load more").click();
  await tab.page.getByText("249 items", { exact: true }).waitFor();
  await tab.page.getByLabel("Search").fill("aland islands");
  await tab.page.getByText("1 of 249 items").waitFor();
  await tab.page.getByLabel("Search").fill("no such country");
  await tab.page.getByText("No item matches “no such country”.").waitFor();
  await tab.page.getByLabel("Search").fill("norw");
  const config = await tab.page.request.get(`${tab.settings.site}/config.json`);
  const { documents } = (await config.json()) as { documents: string | null };
  const nearest = tab.response("GET", documents ? /^\/documents\/countries\/NO$/ : /^\/v1\/items\/countries\/NO$/);
  await tab.page.getByRole("link", { name: /^Norway/ }).click();
  assert.equal((await nearest).status(), 200, "the item comes from the nearest copy");
  await tab.heading("Norway").waitFor();
  await tab.main().getByText("Kingdom of Norway").waitFor();
  assert.equal(await tab.link("Edit").count(), 0, "nobody edits before sign-in");
  await tab.check();
  await tab.page.goBack();
  assert.equal(await tab.page.getByLabel("Search").inputValue(), "norw", "the back button brings the search back");

  // A collection that needs sign-in, and sign-in itself.
  await tab.link("Notices").click();
  await tab.page.getByText("Sign in to see this collection.").waitFor();
  await tab.check();
  await tab.main().getByRole("button", { name: "Sign in" }).click();
  await tab.answerSignInPage(tab.settings.editor);
  await tab.heading("Notices").waitFor();
  await tab.page.getByText(tab.settings.editor, { exact: true }).waitFor();
  assert.deepEqual(await tab.page.evaluate(() => Object.keys(localStorage)), []);
  const stored = await tab.page.evaluate(() => Object.values(sessionStorage).join());
  assert.doesNotMatch(stored, /ey[A-Za-z0-9_-]+\./, "no token is stored");

  // Make an item; the API's faults stand at their fields.
  await tab.link("New item").click();
  await tab.heading("New item in Notices").waitFor();
  await tab.check();
  await tab.page.getByLabel("Priority").fill("11");
  await tab.page.getByLabel("Hours").fill("0.3");
  tab.expected.push(REFUSED);
  await tab.button("Save").click();
  const alert = tab.page.getByRole("alert");
  await alert.getByText("The item isn't saved:").waitFor();
  assert.match(await tab.focused(), /^div The item isn't saved/, "the focus goes to the faults");
  for (const label of ["Title", "Priority", "Hours"]) {
    const field = tab.page.getByLabel(label);
    assert.equal(await field.getAttribute("aria-invalid"), "true", label);
    const fault = (await field.getAttribute("aria-describedby"))!.split(" ").pop()!;
    assert.ok(await tab.page.locator(`[id="${fault}"]`).isVisible(), label);
  }
  await tab.check();
  await alert.getByRole("button", { name: /^Priority/ }).click();
  assert.equal(await tab.focused(), "input field-priority");
  await tab.page.getByLabel("Priority").fill("3");
  await tab.page.getByLabel("Hours").fill("1.50");
  await tab.page.getByLabel("Title").fill(title);
  const created = tab.response("POST", /\/items\/notices$/);
  await tab.button("Save").click();
  assert.equal((await created).status(), 202);
  assert.match((await created).request().postData()!, /"hours":1\.50\b/, "every digit goes to the API");
  await tab.heading(title).waitFor();
  await tab.page
    .getByText("Applying…")
    .or(tab.page.getByText("Applied", { exact: true }))
    .waitFor();
  await tab.applied(title);
  await tab.page.getByText("Applied", { exact: true }).waitFor();
  await tab.main().getByText("1.50").waitFor();
  await tab.check();

  // Edit it, and read one's own write.
  await tab.link("Edit").click();
  await tab.heading(`Edit ${title}`).waitFor();
  await tab.page.getByLabel("Body").fill("Back on Monday.\nThank you.");
  await tab.button("Edit as JSON").click();
  assert.match(await tab.page.getByLabel("Data (JSON)").inputValue(), /"hours": 1\.50,?\n/);
  await tab.check();
  await tab.button("Edit as fields").click();
  assert.equal(await tab.page.getByLabel("Hours").inputValue(), "1.50");
  const written = tab.response("PUT", /\/items\/notices\//);
  const read = tab.page.waitForRequest(
    (request) => /\/items\/notices\/[^/]+\?min_version=/.test(request.url()) && request.method() === "GET",
  );
  await tab.button("Save").click();
  assert.match((await written).url(), /\?min_version=/, "the change names the version that it replaces");
  const version = ((await (await written).json()) as { change_id: string }).change_id;
  assert.equal(new URL((await read).url()).searchParams.get("min_version"), version);
  await tab.main().getByText("Back on Monday.").waitFor();
  await tab.link("Back to Notices").click();
  await tab.page.getByRole("link", { name: new RegExp(title) }).click();

  // Delete it.
  await tab.button("Delete").click();
  const dialog = tab.page.getByRole("dialog");
  await dialog.getByText(`Delete “${title}”?`).waitFor();
  await tab.check();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await tab.focused(), "button Delete", "the focus goes back to the button");
  await tab.button("Delete").click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await tab.page.getByText("This item is deleted.").waitFor();
  await tab.link("Back to Notices").click();
  await tab.page.getByLabel("Search").fill(title);
  await tab.page.getByText(/^No (loaded )?item matches/).waitFor();
}

export async function owners(tab: Tab): Promise<void> {
  await tab.open("#/c/profiles");
  await tab.main().getByRole("button", { name: "Sign in" }).click();
  await tab.answerSignInPage(tab.settings.reader);
  await tab.link("New item").click();
  await tab.page.getByLabel("Id").fill("me");
  await tab.page.getByLabel("Display name").fill("Alice");
  await tab.page.getByLabel("Preferences").fill('{"theme": ');
  await tab.button("Save").click();
  await tab.page.getByText("Preferences: This isn't JSON.").waitFor();
  await tab.page.getByLabel("Preferences").fill('{"theme": "dark"}');
  await tab.button("Save").click();
  await tab.applied("Alice");
  await tab.main().getByText('"theme": "dark"').waitFor();
  await tab.check();
  // Collections whose groups the user isn't in can be read only.
  await tab.link("Notices").click();
  await tab.heading("Notices").waitFor();
  await tab.main().locator(".total").waitFor();
  assert.equal(await tab.link("New item").count(), 0);
  await tab.open("#/new/notices");
}

// --- Sizes, keyboard and preferences

export async function sizes(tab: Tab): Promise<void> {
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  const looks = [
    { width: 375, height: 812 },
    { width: 320, height: 640 },
    { zoom: 2 },
    { dark: true },
    { dark: true, width: 375 },
  ];
  const long = `${"Antidisestablishmentarianism".repeat(3)} ${tab.settings.unique}`;
  await tab.link("New item").click();
  await tab.page.getByLabel("Title").fill(long);
  await tab.button("Save").click();
  await tab.applied("Antidis");
  const item = new URL(tab.page.url()).hash;
  const routes = [
    "#/",
    "#/c/countries",
    "#/c/currencies",
    "#/c/notices",
    item,
    item.replace("#/c/", "#/edit/"),
    "#/new/notices",
    "#/lost",
  ];
  for (const route of routes) {
    await tab.page.evaluate((hash) => (location.hash = hash), route);
    await tab.page.locator(".loading").waitFor({ state: "detached" });
    await tab.heading().waitFor();
    for (const look of looks) {
      await tab.look(look);
      await tab.check();
    }
  }
}

export async function keyboard(tab: Tab): Promise<void> {
  const title = `By keyboard ${tab.settings.unique}`;
  await tab.open();
  await tab.press("Tab");
  assert.equal(await tab.focused(), "a skip");
  await tab.press("Enter");
  assert.equal(await tab.focused(), "main main");
  const reach = async (name: string, key = "Tab") => {
    for (let presses = 0; presses < 60; presses += 1) {
      if ((await tab.focused()) === name) return;
      await tab.press(key);
    }
    assert.fail(`${name} can't be reached by ${key}: ${await tab.focused()}`);
  };
  await reach("button Sign in", "Shift+Tab");
  await tab.press("Enter");
  await tab.page.waitForURL((url) => url.pathname === "/oauth2/authorize");
  await tab.page.locator("input:focus").waitFor(); // the sign-in page puts the focus there
  await tab.page.keyboard.type(tab.settings.editor);
  await tab.press("Tab");
  await tab.page.keyboard.type(tab.settings.password);
  await tab.press("Enter");
  await tab.button("Sign out").waitFor();
  await reach("a Notices");
  await tab.press("Enter");
  await tab.heading("Notices").waitFor();
  await tab.main().locator(".total").waitFor();
  await reach("a New item");
  await tab.press("Enter");
  await tab.heading("New item in Notices").waitFor();
  await tab.page.getByLabel("Title").waitFor();
  await reach("input field-title");
  await tab.page.keyboard.type(title);
  await tab.press("Enter");
  await tab.heading(title).waitFor();
  await tab.applied(title);
  await tab.link("Edit").waitFor();
  assert.equal(await tab.focused(), `h1 ${title}`, "the focus stays when the change is applied");
  await reach("button Delete");
  await tab.press("Enter");
  await tab.page.getByRole("dialog").waitFor();
  await tab.press("Escape");
  await tab.page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await tab.focused(), "button Delete");
  await tab.press("Enter", "Tab");
  assert.equal(await tab.focused(), "button Delete");
  await tab.press("Enter");
  await tab.page.getByText("This item is deleted.").waitFor();
  await reach("button Sign out", "Shift+Tab");
  await tab.press("Enter");
  await tab.button("Sign in").first().waitFor();
}

export async function announcements(tab: Tab): Promise<void> {
  const title = `Heard ${tab.settings.unique}`;
  await tab.look({ still: true });
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  const texts: string[] = [];
  await tab.page.exposeFunction("hear", (text: string) => texts.push(text.trim()));
  await tab.page.evaluate(() => {
    const { hear } = window as unknown as { hear: (text: string) => void };
    const live = document.getElementById("live")!;
    new MutationObserver(() => hear(live.textContent!)).observe(live, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await tab.link("New item").click();
  await tab.page.getByLabel("Title").fill(title);
  await answer(tab, /\/changes\//, 200, { status: "pending", reason: null });
  await tab.button("Save").click();
  const waiting = tab.page.locator(".steps .waiting");
  await waiting.waitFor();
  const moves = await waiting.evaluate((node) => getComputedStyle(node, "::before").animationName);
  assert.equal(moves, "none", "nothing moves if the user wants nothing to move");
  // The list is drawn anew when the change is applied, while somebody types a search.
  await tab.link("Back to Notices").click();
  await tab.page.getByLabel("Search").pressSequentially("Hea");
  await tab.press("ArrowLeft");
  await tab.page.unrouteAll();
  await tab.applied(title);
  await tab.main().getByText("Saving").waitFor({ state: "detached" });
  assert.equal(await tab.focused(), "input search");
  await tab.press("x");
  assert.equal(await tab.page.getByLabel("Search").inputValue(), "Hexa");
  assert.deepEqual(texts, [`${title}: Accepted. It will be applied in a moment.`, `${title}: Saved and applied.`]);
}

// --- What may go wrong

export async function hostileData(tab: Tab): Promise<void> {
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  await makeNotice(tab, HOSTILE);
  await tab.heading(HOSTILE).waitFor();
  await tab.link("Edit").click();
  await tab.heading(`Edit ${HOSTILE}`).waitFor();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), HOSTILE);
  await tab.link("Notices").click();
  await tab.page.getByRole("link", { name: HOSTILE }).first().waitFor();
  assert.equal(await tab.page.locator("main img, main script").count(), 0);
  assert.doesNotMatch(await tab.page.title(), /owned/);
  for (const route of [
    "#/c/notices/%E0%A4%A",
    "#/c/notices/..%2F..",
    "#/c/%3Cscript%3E",
    "#/c",
    "#javascript:alert(1)",
    "#/c/notices/a/b/c",
  ]) {
    await tab.page.evaluate((hash) => (location.hash = hash), route);
    if (route.includes("..%2F")) tab.expected.push(REFUSED);
    await tab.heading().waitFor();
    await tab.page.locator(".loading").waitFor({ state: "detached" });
  }
  await tab.heading("There is no such page").waitFor();
}

export async function unknownRoutes(tab: Tab): Promise<void> {
  await tab.open("#/nowhere");
  await tab.heading("There is no such page").waitFor();
  await tab.check();
  await tab.link("Go to the start page").click();
  await tab.heading("Readplane").waitFor();
  tab.expected.push(REFUSED);
  await tab.open("#/c/countries/XX");
  await tab.heading("Not found").waitFor();
  await tab.main().getByText("There is no such item.").waitFor();
  await tab.check();
}

export async function failures(tab: Tab): Promise<void> {
  tab.expected.push(REFUSED);
  await answer(tab, /\/v1\/items\/countries$/, 503, {
    status: 503,
    detail: "The request could not be served now.",
    request_id: "r-1",
  });
  await tab.open("#/c/countries");
  await tab.page.getByText("The request could not be served now. (Request r-1)").waitFor();
  await tab.check();
  await tab.page.unrouteAll();
  await tab.button("Try again").click();
  await tab.page.getByText("100 loaded items", { exact: true }).waitFor();

  // An answer that isn't the API's.
  await tab.page.route(/\/v1\/items\/tariffs/, (route) =>
    route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" }),
  );
  await tab.link("Tariffs").click();
  await tab.page.getByText("The API answered 502.").waitFor();
  await tab.page.unrouteAll();
  await answer(tab, /\/v1\/items\/tariffs$/, 200, { items: [], next: null });
  await tab.button("Try again").click();
  await tab.page.getByText("There are no items yet.").waitFor();
  await tab.check();
}

export async function offline(tab: Tab): Promise<void> {
  const title = `Offline ${tab.settings.unique}`;
  await tab.open("#/new/notices");
  await tab.signIn(tab.settings.editor);
  await tab.page.getByLabel("Title").fill(title);
  tab.expected.push(/ERR_INTERNET_DISCONNECTED/);
  await tab.context.setOffline(true);
  await tab.page.getByText("You are offline. What you type stays here until you are back.").waitFor();
  await tab.button("Save").click();
  await tab.page.getByText("You are offline. Your text is still here.").waitFor();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), title);
  await tab.check();
  await tab.context.setOffline(false);
  await tab.page.getByText("What you type stays here").waitFor({ state: "hidden" });
  await tab.button("Save").click();
  await tab.applied(title);
}

export async function staleSources(tab: Tab): Promise<void> {
  const freshness = { source: "subdivisions", collection: "subdivisions", fresh_as_of: null, staleness_budget: 130 };
  const cases: [object, string | null][] = [
    [{ staleness: 20, stale: false, breaker: "closed" }, null],
    [
      { staleness: 7300, stale: true, breaker: "closed" },
      "This data is 2 hours old. It should be at most 2 minutes old.",
    ],
    [
      { staleness: 400, stale: true, breaker: "open" },
      "The back office doesn't answer. This data is 7 minutes old. It should be at most 2 minutes old.",
    ],
    [
      { staleness: 40, stale: false, breaker: "open" },
      "The back office doesn't answer. This data is 40 seconds old, which is still within its budget.",
    ],
    [{ staleness: null, stale: true, breaker: null }, "Nothing has been read from the back office yet."],
  ];
  for (const [state, text] of cases) {
    await answer(tab, /\/v1\/sources\/subdivisions$/, 200, { ...freshness, ...state });
    const asked = tab.response("GET", /\/sources\/subdivisions$/);
    await tab.open("#/");
    await tab.page.evaluate(() => (location.hash = "#/c/subdivisions"));
    await asked;
    await tab.page.getByText("loaded items").waitFor();
    if (text) await tab.main().getByText(text).waitFor();
    assert.equal(await tab.page.locator(".notice.warning:visible").count(), text ? 1 : 0);
    await tab.check();
    await tab.page.unrouteAll();
  }
  // The real answer, and a snapshot.
  await tab.open("#/c/currencies");
  await tab.page.getByRole("columnheader", { name: "Code" }).waitFor();
  await tab.page.getByText(/^\d+ entries · as of (just now|.* ago)$/).waitFor();
  await tab.page.getByLabel("Search").fill("krone");
  await tab.page.getByRole("cell", { name: "NOK" }).waitFor();
  await tab.check();
}

export async function outcomes(tab: Tab): Promise<void> {
  const cases: [string, string, string][] = [
    ["superseded", "A newer change of this item has replaced yours.", "You see the newer one."],
    ["quarantined", "It could not be applied. The operators have it.", "You see the item without it."],
    ["late", "Accepted, but not applied after two minutes.", "Your change is accepted, but not applied yet."],
  ];
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  await makeNotice(tab, `Outcomes ${tab.settings.unique}`);
  const path = new URL(tab.page.url()).hash.replace("#/c/", "");
  for (const [status, inTray, onPage] of cases) {
    if (status === "late") await tab.page.clock.install();
    await tab.page.evaluate((hash) => (location.hash = hash), `#/edit/${path}`);
    await tab.page.getByLabel("Body").fill(status);
    const body = {
      status: status === "late" ? "pending" : status,
      reason: status === "quarantined" ? "expired" : null,
    };
    await answer(tab, /\/changes\//, 200, body);
    let asked = 0;
    tab.page.on("request", (request) => (asked += /\/changes\//.test(request.url()) ? 1 : 0));
    await tab.button("Save").click();
    if (status === "late") {
      await tab.page.getByText("Applying…").waitFor();
      for (let second = 0; second < 130; second += 1) await tab.page.clock.runFor(1000);
      assert.ok(asked > 20 && asked < 75, `${asked} questions in two minutes`);
    }
    await tab.page.locator(`.change.${status}`, { hasText: inTray }).waitFor();
    await tab.main().getByText(onPage).waitFor();
    if (status === "quarantined") await tab.page.getByText("expired").waitFor();
    await tab.check();
    await tab.page.unrouteAll();
  }
}

// --- Sign-in under attack, sign-out, and an end in the middle of an edit

/** Go to the sign-in page, and return what the site has sent there. */
async function startSignIn(tab: Tab): Promise<URLSearchParams> {
  await tab.open();
  await tab.button("Sign in").click();
  await tab.page.waitForURL((url) => url.pathname === "/oauth2/authorize");
  return new URL(tab.page.url()).searchParams;
}

/** Sign in on the sign-in page without going back to the site. Return the URL with the code that leads there. */
async function takeCode(tab: Tab): Promise<string> {
  const form = await tab.page.locator("form").evaluate((node) => {
    return Object.fromEntries([...new FormData(node as HTMLFormElement)].map(([name, value]) => [name, String(value)]));
  });
  const answer = await tab.context.request.post(`${tab.settings.sign_in}/login`, {
    form: { ...form, username: tab.settings.reader, password: tab.settings.password },
    maxRedirects: 0,
  });
  return answer.headers()["location"]!;
}

async function isRefused(tab: Tab, text: string): Promise<void> {
  await tab.page.getByRole("alert").getByText(text).waitFor();
  await tab.button("Sign in").first().waitFor();
  const { search, hash } = new URL(tab.page.url());
  assert.deepEqual([search, hash], ["", "#/"], "the code leaves the address");
}

export async function signInAttacks(tab: Tab): Promise<void> {
  const foreign = "This sign-in was not started in this tab. Sign in again.";
  const used = "You are not signed in: the code has expired or was already used.";
  const sent = await startSignIn(tab);
  assert.equal(sent.get("code_challenge_method"), "S256");
  assert.equal(sent.get("redirect_uri"), `${tab.settings.site}/`);
  assert.match(sent.get("state")!, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(sent.get("client_secret"), null);

  // A wrong state. Nothing asks for a token, so the code is of no use to whoever sent the link.
  let exchanges = 0;
  tab.page.on("request", (request) => (exchanges += request.url().endsWith("/oauth2/token") ? 1 : 0));
  const callback = await takeCode(tab);
  const wrong = new URL(callback);
  wrong.searchParams.set("state", "A".repeat(43));
  await tab.page.goto(wrong.href);
  await isRefused(tab, foreign);
  // A link with a code, in a tab that hasn't started a sign-in. `state` names another site, and leads nowhere.
  for (const state of ["https://evil.example/", "//evil.example", "#/c/countries", ""]) {
    const link = new URL(callback);
    link.searchParams.set("state", state);
    await tab.page.goto(link.href);
    await isRefused(tab, foreign);
  }
  assert.equal(exchanges, 0);

  // The route of the stored sign-in may only be a route of this site.
  await startSignIn(tab);
  await tab.page.goto(tab.settings.site);
  await tab.page.evaluate(() => {
    const pending = JSON.stringify({ state: "s", verifier: "v", route: "https://evil.example/" });
    sessionStorage.setItem("readplane.sign-in", pending);
  });
  await tab.page.goto(`${tab.settings.site}/?error=access_denied&state=s`);
  await isRefused(tab, "You are not signed in, because the sign-in page refused.");

  // A wrong verifier.
  tab.expected.push(/status of 400.*\/oauth2\/token/);
  await startSignIn(tab);
  const good = await takeCode(tab);
  await tab.page.goto(`${tab.settings.site}/config.json`); // it has the same origin and runs no script
  await tab.page.evaluate(() => {
    const pending = JSON.parse(sessionStorage.getItem("readplane.sign-in")!) as object;
    const verifier = "B".repeat(43);
    sessionStorage.setItem("readplane.sign-in", JSON.stringify({ ...pending, verifier }));
  });
  await tab.page.goto(good);
  await isRefused(tab, used);

  // A code that is used twice, in a copy of the tab with the same state.
  await startSignIn(tab);
  const once = await takeCode(tab);
  await tab.page.goto(`${tab.settings.site}/config.json`);
  const saved = await tab.page.evaluate(() => sessionStorage.getItem("readplane.sign-in")!);
  await tab.page.goto(once);
  await tab.button("Sign out").waitFor();
  const first = tab.page;
  tab.page = await tab.context.newPage();
  await tab.page.goto(`${tab.settings.site}/config.json`);
  await tab.page.evaluate((text) => sessionStorage.setItem("readplane.sign-in", text), saved);
  await tab.page.goto(once);
  await isRefused(tab, used);
  assert.ok(await first.getByRole("button", { name: "Sign out" }).isVisible());
}

export async function signOut(tab: Tab): Promise<void> {
  const title = `Secret ${tab.settings.unique}`;
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  await makeNotice(tab, title);
  await tab.page.getByText(title).first().waitFor();
  // A second tab of the same user, with a draft.
  const other = await tab.context.newPage();
  const first = tab.page;
  tab.page = other;
  await tab.open("#/new/notices");
  await tab.signIn(tab.settings.editor);
  await tab.page.getByLabel("Title").fill("A draft");
  tab.page = first;

  const revoked = tab.page.waitForRequest((request) => request.url().endsWith("/oauth2/revoke"));
  const home = tab.page.waitForURL((url) => url.href === `${tab.settings.site}/`);
  await tab.button("Sign out").click();
  const sent = new URLSearchParams((await revoked).postData()!);
  assert.deepEqual([...sent.keys()].sort(), ["client_id", "token"]);
  await home;
  await tab.button("Sign in").first().waitFor();
  assert.deepEqual(await tab.page.evaluate(() => Object.keys(sessionStorage)), []);
  const form = { grant_type: "refresh_token", client_id: sent.get("client_id")!, refresh_token: sent.get("token")! };
  const renewal = await tab.context.request.post(`${tab.settings.sign_in}/oauth2/token`, { form });
  assert.equal(renewal.status(), 400, "the refresh token is revoked");

  // The other tab is signed out too, and its draft is gone.
  await other.getByRole("button", { name: "Sign in", exact: true }).first().waitFor();
  assert.equal(await other.getByLabel("Title").count(), 0);
  assert.deepEqual(await other.evaluate(() => Object.keys(sessionStorage)), []);

  // The back button shows nothing of the user.
  for (let step = 0; step < 4; step += 1) {
    await tab.page.goBack().catch(() => null);
    await tab.page.waitForTimeout(200);
    if (!tab.page.url().startsWith(tab.settings.site)) break;
    await tab.button("Sign in").first().waitFor();
    assert.doesNotMatch(await tab.page.locator("body").innerText(), new RegExp(title));
  }
}

export async function signOutWithoutRevoking(tab: Tab): Promise<void> {
  await tab.open("#/c/notices");
  await tab.signIn(tab.settings.editor);
  tab.expected.push(/\/oauth2\/revoke/);
  await tab.page.route(/\/oauth2\/revoke/, (route) => route.abort());
  await tab.button("Sign out").click();
  await tab.page.waitForURL((url) => url.href === `${tab.settings.site}/`);
  await tab.button("Sign in").first().waitFor();
}

export async function expiredInTheMiddle(tab: Tab): Promise<void> {
  const title = `Long text ${tab.settings.unique}`;
  await tab.open("#/new/notices");
  await tab.signIn(tab.settings.editor);

  // The access token has expired, and the refresh token gives a new one. Nobody notices.
  let refusals = 1;
  await tab.page.route(/\/v1\/items\/notices$/, (route) => {
    if (route.request().method() !== "POST" || refusals === 0) return route.continue();
    refusals -= 1;
    return route.fulfill({ status: 401, contentType: "application/problem+json", body: "{}" });
  });
  tab.expected.push(/status of 401/);
  const renewed = tab.response("POST", /\/oauth2\/token$/);
  await tab.page.getByLabel("Title").fill(`Renewed ${tab.settings.unique}`);
  await tab.button("Save").click();
  assert.match((await renewed).request().postData()!, /grant_type=refresh_token/);
  await tab.applied("Renewed");

  // The refresh token has expired too. The text outlives the way to the sign-in page and back.
  await tab.page.evaluate(() => (location.hash = "#/new/notices"));
  await tab.page.getByLabel("Title").fill(title);
  await tab.page.getByLabel("Body").fill("Many words.");
  refusals = 1;
  tab.expected.push(/status of 400.*\/oauth2\/token/);
  await tab.page.route(/\/oauth2\/token/, (route) => {
    if (!route.request().postData()!.includes("refresh_token")) return route.continue();
    return route.fulfill({
      status: 400,
      headers: { "Access-Control-Allow-Origin": "*" },
      json: { error: "invalid_grant" },
    });
  });
  await tab.button("Save").click();
  await tab.page.getByText("Your sign-in has expired. Your text stays in this tab").waitFor();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), title);
  await tab.check();
  await tab.page.getByLabel("Priority").fill("4"); // typed while nobody is signed in
  await tab.main().getByRole("button", { name: "Sign in" }).click();
  await tab.answerSignInPage(tab.settings.editor);
  await tab.heading("New item in Notices").waitFor();
  await tab.page.getByText("Your unsaved text is back.").waitFor();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), title);
  assert.equal(await tab.page.getByLabel("Body").inputValue(), "Many words.");
  assert.equal(await tab.page.getByLabel("Priority").inputValue(), "4");
  await tab.button("Save").click();
  await tab.applied(title);

  // A reload loses no text either. It signs in again by itself.
  await tab.page.evaluate(() => (location.hash = "#/new/notices"));
  await tab.page.getByLabel("Title").fill("Before the reload");
  await tab.page.reload();
  await tab.answerSignInPage(tab.settings.editor);
  await tab.page.getByText("Your unsaved text is back.").waitFor();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), "Before the reload");
  await tab.button("Discard it").click();
  assert.equal(await tab.page.getByLabel("Title").inputValue(), "");

  // Another user of the same tab doesn't see a draft.
  await tab.page.evaluate(() => (location.hash = "#/new/profiles"));
  await tab.page.getByLabel("Display name").fill("Not for Alice");
  await tab.page.reload();
  await tab.answerSignInPage(tab.settings.reader);
  await tab.heading("New item in Profiles").waitFor();
  assert.equal(await tab.page.getByLabel("Display name").inputValue(), "");
  assert.equal(await tab.page.getByText("Your unsaved text is back.").count(), 0);
}

// --- Pictures for the README

export async function pictures(tab: Tab): Promise<void> {
  const path = (name: string) => join(tab.settings.images!, name);
  await tab.open("#/c/countries");
  await tab.signIn(tab.settings.editor);
  await tab.page.getByText("loaded items").waitFor();
  await tab.look({ width: 1280, height: 800 });
  await tab.page.screenshot({ path: path("site-desktop.png") });
  await tab.look({ width: 375, height: 740 });
  await tab.page.evaluate(() => (location.hash = "#/new/notices"));
  await tab.page.getByLabel("Id").fill("friday");
  await tab.page.getByLabel("Title").fill("Closed on Friday");
  await tab.page.getByLabel("Body").fill("The office is closed on Friday. The back office goes on, and so do reads.");
  await tab.page.getByLabel("Hours").fill("7.50");
  await tab.page.getByLabel("Until").fill("2026-12-04");
  await tab.button("Save").click();
  await tab.applied("Closed on Friday");
  await tab.page.getByText("Applied", { exact: true }).waitFor();
  await tab.page.screenshot({ path: path("site-phone.png") });
}
