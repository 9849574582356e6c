// The page of a collection: a list that can be searched, or the one document of a snapshot.

import { announce, button, h, notice } from "./dom.js";
import { format, isNumber, isObject } from "./json.js";
import { badges, messageOf } from "./pages.js";
import { ago, count, matches, staleWarning, summaryOf, titleOf, words } from "./text.js";

const ROWS = 100; // rows of a snapshot that are shown at a time
const COLUMNS = 6;

export async function collectionPage(app, { collection }, page) {
  page.title(collection.title);
  const freshness = h("div", {});
  const content = h("div", { "aria-busy": "true" }, h("p", { class: "loading" }, "Loading…"));
  page.show(badges(collection), freshness, content);
  if (collection.source) showFreshness(app, collection, freshness, page.signal);
  await (collection.snapshot ? snapshot : list)(app, collection, content, page);
  content.removeAttribute("aria-busy");
}

/** Warn if a collection's data is older than it should be, or its back office doesn't answer. */
export async function showFreshness(app, collection, place, signal) {
  try {
    const warning = staleWarning(await app.api.freshness(collection, signal));
    if (warning) place.replaceChildren(notice("warning", warning));
  } catch (error) {
    if (!signal.aborted)
      place.replaceChildren(notice("warning", `How fresh this data is can't be read. ${messageOf(error)}`));
  }
}

async function list(app, collection, content, page) {
  const loaded = app.lists.get(collection.name) ?? (await firstPage(app, collection, page.signal));
  app.lists.set(collection.name, loaded);
  if (page.signal.aborted) return;

  const search = h("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
  search.value = new URLSearchParams(location.hash.split("?")[1]).get("q") ?? "";
  const total = h("p", { class: "total", role: "status" });
  const rows = h("ul", { class: "rows" });
  const end = h("div", { class: "end" });

  const draw = () => {
    const items = [...loaded.items.values()].sort((a, b) => titleOf(a).localeCompare(titleOf(b)));
    const found = search.value.trim() ? items.filter((item) => matches(item, search.value)) : items;
    const more = loaded.next ? " loaded" : "";
    const all = count(items.length, `${loaded.next ? "loaded " : ""}item`);
    total.textContent = found === items ? all : `${found.length.toLocaleString("en")} of ${all}`;
    rows.replaceChildren(...found.map((item) => row(app, collection, item)));
    if (!found.length) {
      const text = items.length ? `No${more} item matches “${search.value.trim()}”.` : "There are no items yet.";
      rows.replaceChildren(h("li", { class: "empty" }, text));
    }
    end.replaceChildren(...(loaded.next ? [button("Load more", loadMore)] : []));
  };

  const loadMore = async (event) => {
    const pressed = event.currentTarget;
    pressed.setAttribute("aria-disabled", "true");
    try {
      add(loaded, await app.api.list(collection, loaded.next, page.signal));
      draw();
      (end.querySelector("button") ?? rows.querySelector("a"))?.focus();
    } catch (error) {
      if (!page.signal.aborted) end.replaceChildren(notice("danger", messageOf(error), button("Try again", loadMore)));
    }
  };

  const refresh = async () => {
    app.lists.delete(collection.name);
    await app.show(false);
    announce("The list is up to date.");
  };

  search.addEventListener("input", () => {
    const query = search.value.trim() ? `?${new URLSearchParams({ q: search.value.trim() })}` : "";
    history.replaceState(null, "", `#/c/${collection.name}${query}`); // the back button brings the search back
    draw();
  });
  content.replaceChildren(
    h(
      "div",
      { class: "tools" },
      h("div", { class: "search" }, h("label", { for: "search" }, "Search"), search),
      button("Refresh", refresh, "quiet"),
      app.mayWrite(collection) && h("a", { class: "button primary", href: `#/new/${collection.name}` }, "New item"),
    ),
    total,
    rows,
    end,
  );
  draw();
}

async function firstPage(app, collection, signal) {
  const loaded = { items: new Map(), next: null };
  add(loaded, await app.api.list(collection, null, signal));
  return loaded;
}

function add(loaded, { items, next }) {
  for (const item of items) loaded.items.set(item.id, item);
  loaded.next = next;
}

function row(app, collection, item) {
  const change = app.changes.of(collection, item.id);
  const pending =
    change?.status === "pending" && h("span", { class: "badge pending" }, change.removes ? "Deleting" : "Saving");
  const summary = summaryOf(item);
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/c/${collection.name}/${encodeURIComponent(item.id)}` },
      h("span", { class: "name" }, titleOf(item), pending),
      summary && h("span", { class: "summary" }, summary),
      h("time", { datetime: item.as_of }, ago(item.as_of)),
    ),
  );
}

/** Show a snapshot: a table if it is a list of objects, else its JSON. */
async function snapshot(app, collection, content, page) {
  let published;
  try {
    published = await app.api.snapshot(collection, page.signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    content.replaceChildren(h("p", { class: "empty" }, "The source has published nothing yet."));
    return;
  }
  const { data, as_of: time } = published;
  const isTable = Array.isArray(data) && data.length > 0 && data.every(isObject);
  if (!isTable) {
    content.replaceChildren(h("pre", { tabindex: "0", "aria-label": "The document" }, format(data)));
    return;
  }
  const columns = [...new Set(data.slice(0, 50).flatMap(Object.keys))].slice(0, COLUMNS);
  const search = h("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
  const total = h("p", { class: "total", role: "status" });
  const body = h("tbody", {});
  const end = h("div", { class: "end" });
  let shown = ROWS;
  const draw = () => {
    const found = search.value.trim() ? data.filter((entry) => matches({ id: "", data: entry }, search.value)) : data;
    const all = count(data.length, "entr").replace(/entrs?$/, data.length === 1 ? "entry" : "entries");
    const shares = found === data ? all : `${found.length.toLocaleString("en")} of ${all}`;
    total.textContent = `${shares} · as of ${ago(time)}`;
    body.replaceChildren(
      ...found.slice(0, shown).map((entry) =>
        h(
          "tr",
          {},
          columns.map((name) => cell(entry[name])),
        ),
      ),
    );
    end.replaceChildren(...(found.length > shown ? [button("Show more", () => ((shown += ROWS), draw()))] : []));
  };
  search.addEventListener("input", draw);
  content.replaceChildren(
    h("div", { class: "tools" }, h("div", { class: "search" }, h("label", { for: "search" }, "Search"), search)),
    total,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `${collection.title}, table` },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col" }, words(name))),
          ),
        ),
        body,
      ),
    ),
    end,
  );
  draw();
}

function cell(value) {
  const text = value === undefined || value === null ? "–" : typeof value === "string" ? value : format(value);
  return h("td", { class: isNumber(value) && "number" }, text);
}
