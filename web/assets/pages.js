// The small pages: start, sign-in, failure, unknown address.

import { Problem, SignedOut, Unreachable } from "./api.js";
import { button, h, notice } from "./dom.js";

const READERS = { public: "Everybody reads", authenticated: "Signed-in users read", owner: "Only yours" };

/** Return the badges that say who reads a collection, and what feeds it. */
export function badges(collection) {
  return h(
    "p",
    { class: "badges" },
    h("span", { class: `badge ${collection.read}` }, READERS[collection.read]),
    collection.source && h("span", { class: "badge" }, `From the source ${collection.source}`),
  );
}

export function homePage(app, _place, page) {
  page.title("Readplane");
  const cards = [...app.collections.values()].map((collection) =>
    h(
      "li",
      {},
      h("a", { class: "card", href: `#/c/${collection.name}` }, h("h2", {}, collection.title), badges(collection)),
    ),
  );
  page.show(
    h("p", { class: "lead" }, "Reads never wait for a back office. A change is safe before it is accepted."),
    cards.length ? h("ul", { class: "cards" }, cards) : h("p", { class: "empty" }, "There are no collections yet."),
  );
}

export function signInPage(app, { collection }, page) {
  page.title(collection.title);
  page.show(askToSignIn(app, "Sign in to see this collection."));
}

/** Return a notice that leads to sign-in. */
export function askToSignIn(app, text) {
  if (!app.signIn) return notice("info", `${text} This stack has no sign-in page.`);
  return notice(
    "info",
    text,
    button("Sign in", () => app.beginSignIn(), "primary"),
  );
}

/** Say why a page can't be shown. @param {() => void} retry */
export function failurePage(app, error, page, retry) {
  if (error instanceof SignedOut) {
    page.show(askToSignIn(app, error.message));
  } else if (error instanceof Problem && error.status === 404) {
    page.title("Not found");
    page.show(h("p", { class: "empty" }, error.message), h("p", {}, h("a", { href: "#/" }, "Go to the start page")));
  } else {
    page.show(notice("danger", messageOf(error), button("Try again", retry)));
  }
}

/** Return a text for people about any failure. */
export function messageOf(error) {
  if (error instanceof Problem) return error.message + (error.requestId ? ` (Request ${error.requestId})` : "");
  if (error instanceof Unreachable || error instanceof SignedOut) return error.message;
  console.error(error);
  return "Something went wrong on this page.";
}

export function unknownPage(_app, _place, page) {
  page.title("There is no such page");
  page.show(
    h("p", {}, "The address leads nowhere. It may have a typing error, or the collection is gone."),
    h("p", {}, h("a", { href: "#/" }, "Go to the start page")),
  );
}
