// The page of an item: its data, and the way to edit or delete it.

import { Problem, SignedOut } from "./api.js";
import { showFreshness } from "./collection.js";
import { button, h, notice } from "./dom.js";
import { format, isNumber, isObject } from "./json.js";
import { askToSignIn, messageOf } from "./pages.js";
import { ago, titleOf, words } from "./text.js";

const CHANGE_NOTICES = {
  superseded: ["warning", "A newer change of this item has replaced yours. You see the newer one."],
  quarantined: ["danger", "Your change could not be applied. The operators have it. You see the item without it."],
  unknown: ["danger", "The API doesn't know your change. You see the item without it."],
  late: ["warning", "Your change is accepted, but not applied yet. You see the item without it."],
};

export async function itemPage(app, { collection, id }, page) {
  page.back(`Back to ${collection.title}`, `#/c/${collection.name}`);
  const known = app.lists.get(collection.name)?.items.get(id);
  const change = app.changes.of(collection, id);
  page.title(known ? titleOf(known) : (change?.title ?? id));
  if (change?.removes && ["pending", "applied"].includes(change.status)) {
    const [kind, text] = change.status === "applied" ? ["success", "This item is deleted."] : ["info", "Deleting…"];
    page.show(notice(kind, text));
    return;
  }
  if (change?.status === "pending") {
    page.title(titleOf(change));
    page.show(steps(false), members(change.data));
    return;
  }
  if (!known) page.show(h("p", { class: "loading" }, "Loading…"));
  const applied = change?.status === "applied";
  const item = await newest(app, collection, id, known, page.signal);
  page.title(titleOf(item));
  const freshness = h("div", {});
  const says = change && CHANGE_NOTICES[change.status];
  page.show(
    says && notice(...says),
    freshness,
    applied && item.version === change.version && steps(true),
    members(item.data),
    facts(item),
    app.mayWrite(collection) && actions(app, collection, item),
  );
  if (collection.source) showFreshness(app, collection, freshness, page.signal);
}

/** Return an item that is at least as new as the user's own change and as the list that the user comes from. */
async function newest(app, collection, id, known, signal) {
  const version = app.changes.version(collection, id);
  const minimum = [version, known?.version].filter(Boolean).sort().pop() ?? null;
  try {
    const item = await app.api.item(collection, id, { version, signal });
    return minimum && item.version < minimum ? await app.api.item(collection, id, { version: minimum, signal }) : item;
  } catch (error) {
    // A change from before a reload may still be on its way, or can't be applied. Show the item without it.
    if (!(version && error instanceof Problem && [400, 409].includes(error.status))) throw error;
    return app.api.item(collection, id, { fresh: true, signal });
  }
}

/** Show how far the user's change is: accepted, then applied. */
function steps(applied) {
  return h(
    "ol",
    { class: "steps", "aria-label": "Your change" },
    h("li", { class: "done" }, "Accepted"),
    h(
      "li",
      { class: applied ? "done" : "waiting", "aria-current": !applied && "step" },
      applied ? "Applied" : "Applying…",
    ),
  );
}

function members(data) {
  const entries = Object.entries(data);
  if (!entries.length) return h("p", { class: "empty" }, "This item has no members.");
  return h(
    "dl",
    { class: "members" },
    entries.map(([name, value]) => h("div", {}, h("dt", {}, words(name)), h("dd", {}, shown(value)))),
  );
}

function shown(value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "string") return value === "" ? "–" : value;
  if (isNumber(value)) return format(value);
  const flat = Array.isArray(value) && value.every((entry) => !isObject(entry) && !Array.isArray(entry));
  if (flat) return value.length ? value.map(shown).join(", ") : "–";
  return h("pre", { tabindex: "0", "aria-label": "JSON" }, format(value));
}

function facts(item) {
  const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
  return h(
    "dl",
    { class: "facts" },
    fact("Id", h("code", {}, item.id)),
    fact("Changed", h("time", { datetime: item.as_of, title: item.as_of }, ago(item.as_of))),
    fact("Version", h("code", {}, item.version)),
  );
}

function actions(app, collection, item) {
  const failure = h("div", {});
  const path = `${collection.name}/${encodeURIComponent(item.id)}`;
  const title = titleOf(item);
  const remove = async () => {
    dialog.close();
    failure.replaceChildren();
    try {
      const accepted = await app.api.remove(collection, item.id, item.version);
      app.changes.add({ ...accepted, collection, title, removes: true }, () =>
        app.api.outcome(collection, accepted.status),
      );
    } catch (error) {
      const asks = error instanceof SignedOut;
      failure.replaceChildren(
        asks ? askToSignIn(app, error.message) : notice("danger", `Not deleted. ${messageOf(error)}`),
      );
    }
  };
  const dialog = h(
    "dialog",
    { "aria-labelledby": "delete-title" },
    h("h2", { id: "delete-title" }, `Delete “${title}”?`),
    h("p", {}, "It disappears for everybody as soon as the change is applied."),
    h(
      "div",
      { class: "buttons" },
      button("Cancel", () => dialog.close()),
      button("Delete", remove, "danger"),
    ),
  );
  return h(
    "div",
    {},
    h(
      "div",
      { class: "buttons" },
      h("a", { class: "button primary", href: `#/edit/${path}` }, "Edit"),
      button("Delete", () => dialog.showModal(), "danger-quiet"),
    ),
    failure,
    dialog,
  );
}
