// Starts the client: reads config.json, ends a sign-in, and shows the page that the address names.

import { Api } from "./api.js";
import { Changes } from "./changes.js";
import { announce, button, h, notice } from "./dom.js";
import { dropAllDrafts } from "./drafts.js";
import { collectionPage } from "./collection.js";
import { editPage } from "./edit.js";
import { itemPage } from "./item.js";
import { failurePage, homePage, signInPage, unknownPage } from "./pages.js";
import { SignIn, SignInError } from "./sign_in.js";
import { words } from "./text.js";

const OUTCOMES = {
  pending: "Accepted. It will be applied in a moment.",
  superseded: "A newer change of this item has replaced yours.",
  quarantined: "It could not be applied. The operators have it.",
  unknown: "The API doesn't know this change.",
  late: "Accepted, but not applied after two minutes. It may still be. Look again later.",
};

const element = (id) => document.getElementById(id);

/** What all pages share. */
class App {
  /** Each list that this tab has loaded, by collection name. */
  lists = new Map();
  #abort = new AbortController();

  constructor(config) {
    this.config = config;
    this.collections = new Map(config.collections.map((c) => [c.name, { ...c, title: c.title ?? words(c.name) }]));
    this.signIn = config.sign_in ? new SignIn(config.sign_in, () => this.#userLeft()) : null;
    this.api = new Api(config, this.signIn);
    this.changes = new Changes((change) => this.#changed(change));
  }

  get user() {
    return this.signIn?.user ?? null;
  }

  /** Whether the user may write a collection. The API decides; this only hides what it would refuse. */
  mayWrite(collection) {
    if (!this.user || collection.source) return false;
    return collection.read === "owner" || collection.write_groups.some((group) => this.user.groups.includes(group));
  }

  /**
   * Show the page of the address.
   *
   * @param {boolean} moved whether the user has gone there, so that the focus moves too
   */
  show(moved) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const [view, place] = this.#route();
    const back = h("p", { class: "back", hidden: true });
    const heading = h("h1", { tabindex: "-1" });
    const body = h("div", { class: "body" });
    const page = {
      signal,
      route: location.hash || "#/",
      title: (text) => {
        heading.textContent = text;
        document.title = text === "Readplane" ? text : `${text} · Readplane`;
      },
      back: (text, href) => {
        back.replaceChildren(h("a", { href }, text));
        back.hidden = false;
      },
      show: (...nodes) => signal.aborted || body.replaceChildren(...nodes.flat().filter(Boolean)),
    };
    const refocus = moved ? () => heading.focus() : keepFocus(heading);
    element("main").replaceChildren(back, heading, body);
    this.#frame(place.collection);
    const running = Promise.resolve(view(this, place, page)).catch((error) => {
      if (!signal.aborted) failurePage(this, error, page, () => this.show(false));
    });
    if (moved) scrollTo(0, 0);
    refocus();
    return running;
  }

  async beginSignIn() {
    await this.signIn.begin(location.hash || "#/");
  }

  #route() {
    const [path] = location.hash.replace(/^#?\/?/, "").split("?");
    const [kind, name, id, ...rest] = path.split("/").map(decode);
    if (path === "") return [homePage, {}];
    const collection = this.collections.get(name);
    const place = { collection, id: id ?? null };
    const view = { "c/0": collectionPage, "c/1": itemPage, "edit/1": editPage, "new/0": editPage };
    const found = view[`${kind}/${id ? 1 : 0}`];
    if (!found || !collection || rest.length) return [unknownPage, {}];
    if (collection.read !== "public" && !this.user) return [signInPage, place];
    return [found, place];
  }

  /** Draw what is around the page: the collections and the user. */
  #frame(current) {
    const links = [...this.collections.values()].map((c) =>
      h("li", {}, h("a", { href: `#/c/${c.name}`, "aria-current": c === current && "page" }, c.title)),
    );
    element("collections").replaceChildren(h("ul", {}, links));
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    const account = element("account");
    if (this.user) {
      account.replaceChildren(
        h("span", { class: "user", title: this.user.name }, this.user.name),
        button("Sign out", () => this.#signOut(), "quiet"),
      );
    } else {
      account.replaceChildren(...(this.signIn ? [button("Sign in", () => this.beginSignIn(), "primary")] : []));
    }
  }

  #changed(change) {
    const list = this.lists.get(change.collection.name);
    if (change.status === "applied" && list) {
      const { id, version, data } = change;
      const item = { id, collection: change.collection.name, version, as_of: new Date().toISOString(), data };
      if (change.removes) list.items.delete(id);
      else list.items.set(id, item);
    }
    const done = change.removes ? "Deleted." : "Saved and applied.";
    const text = change.status === "applied" ? done : OUTCOMES[change.status];
    announce(`${change.title}: ${text}`);
    this.#tray(change, text);
    const { collection, id } = change;
    const here = [`#/c/${collection.name}`, `#/c/${collection.name}/${encodeURIComponent(id)}`];
    const [route] = location.hash.split("?");
    if (here.includes(route) && !document.querySelector("dialog[open]")) this.show(false);
  }

  /** Show a change at the edge of the page, whatever page it is. */
  #tray(change, text) {
    const tray = element("changes");
    const key = `${change.collection.name}/${change.id}`;
    const remove = () => {
      card.remove();
      tray.hidden = tray.childElementCount === 0;
    };
    const card = h(
      "div",
      { class: `change ${change.status}`, "data-change": key },
      h("div", {}, h("strong", {}, change.title), h("p", {}, text), change.reason && h("p", {}, change.reason)),
      button("Dismiss", remove, "quiet small"),
    );
    [...tray.children].find((other) => other.dataset.change === key)?.remove();
    tray.prepend(card);
    tray.hidden = false;
    if (change.status === "applied") setTimeout(remove, 8000);
  }

  /** Forget everything of the user, so that nobody sees it after sign-out, not even with the back button. */
  #userLeft() {
    this.#abort.abort();
    this.lists.clear();
    this.changes.clear();
    dropAllDrafts();
    element("changes").replaceChildren();
    element("changes").hidden = true;
    this.show(false);
    announce("You are signed out.");
  }

  async #signOut() {
    const left = this.signIn.end();
    this.#userLeft();
    await left;
  }
}

/**
 * Remember where the focus is on a page that is drawn again, and return a function that puts it back there.
 *
 * If the same element isn't there any more, the heading gets the focus. Without this, the focus would leave the page
 * whenever a change is applied.
 */
function keepFocus(heading) {
  const { activeElement: focused } = document;
  if (!element("main").contains(focused)) return () => {};
  const { id, selectionStart: start, selectionEnd: end } = focused;
  return () => {
    const again = (id && id !== "main" && document.getElementById(id)) || heading;
    again.focus({ preventScroll: true });
    if (start !== undefined && start !== null) again.setSelectionRange?.(start, end);
  };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

async function start() {
  const response = await fetch("config.json", { cache: "no-cache" });
  if (!response.ok) throw new TypeError(`config.json answers ${response.status}`);
  const app = new App(await response.json());
  let refusal = null;
  let route = null;
  try {
    route = (await app.signIn?.finish()) ?? null;
  } catch (error) {
    refusal = error instanceof SignInError ? error.message : "The sign-in service doesn't answer. Try again.";
  }
  if (!route && !refusal && app.signIn?.wasSignedIn && navigator.onLine) {
    await app.beginSignIn();
    return;
  }
  addEventListener("hashchange", () => app.show(true));
  // A browser may bring a page back as it was left, with the data of a user who has signed out since.
  addEventListener("pageshow", (event) => event.persisted && app.show(false));
  element("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address holds the route
    element("main").focus();
  });
  const running = app.show(false);
  if (refusal) element("main").prepend(notice("danger", refusal));
  if (route) announce(`You are signed in as ${app.user.name}.`);
  await running;
}

function watchNetwork() {
  const update = () => (element("offline").hidden = navigator.onLine);
  addEventListener("online", update);
  addEventListener("offline", update);
  update();
}

watchNetwork();
start().catch(() => {
  const retry = button("Try again", () => location.reload(), "primary");
  element("main").replaceChildren(
    h("h1", {}, "Readplane doesn't answer"),
    notice("danger", "The settings of this page can't be read.", retry),
  );
});
