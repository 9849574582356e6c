// The page on which a user edits an item or makes a new one, as fields or as JSON.

import { Problem, SignedOut } from "./api.js";
import { announce, button, h, notice } from "./dom.js";
import { dropDraft, loadDraft, saveDraft } from "./drafts.js";
import { fieldOf, fieldsOf, toData, toTexts } from "./fields.js";
import { format, isObject, parse } from "./json.js";
import { askToSignIn, messageOf } from "./pages.js";
import { titleOf } from "./text.js";

export async function editPage(app, { collection, id }, page) {
  const isNew = id === null;
  const target = isNew ? `#/c/${collection.name}` : `#/c/${collection.name}/${encodeURIComponent(id)}`;
  page.back(isNew ? `Back to ${collection.title}` : "Back to the item", target);
  page.title(isNew ? `New item in ${collection.title}` : `Edit ${id}`);
  if (!app.user) {
    page.show(askToSignIn(app, "Sign in to edit."));
    return;
  }
  if (!app.mayWrite(collection)) {
    page.show(notice("warning", "You may not write this collection."));
    return;
  }
  page.show(h("p", { class: "loading" }, "Loading…"));
  let item = { id: null, version: null, data: {} };
  if (!isNew) {
    item = await app.api.item(collection, id, {
      version: app.changes.version(collection, id),
      fresh: true,
      signal: page.signal,
    });
    page.title(`Edit ${titleOf(item)}`);
  }
  if (!page.signal.aborted) new Editor(app, collection, item, target, page).open();
}

class Editor {
  constructor(app, collection, item, target, page) {
    Object.assign(this, { app, collection, item, target, page });
    this.sub = app.user.sub; // a draft stays this user's, even after the sign-in has expired
    this.fields = fieldsOf(collection.fields, item.data);
    this.state = this.#fresh();
    this.inputs = new Map();
    this.faults = [];
    this.top = h("div", { class: "top" });
    this.form = h("form", { novalidate: true, onsubmit: (event) => this.#save(event) });
  }

  #fresh() {
    const { data, version } = this.item;
    const texts = toTexts(this.fields, data);
    // The key makes a second try of the same new item the same item.
    return {
      mode: this.fields.length ? "fields" : "json",
      id: "",
      texts,
      json: format(data),
      version,
      key: crypto.randomUUID(),
    };
  }

  open() {
    const draft = loadDraft(this.page.route, this.sub);
    if (draft) {
      this.state = { ...this.state, ...draft };
      const moved = draft.version !== this.item.version;
      const text = moved
        ? "Your unsaved text is back. The item has changed since you began, and saving replaces what it is now."
        : "Your unsaved text is back.";
      this.top.replaceChildren(
        notice(
          moved ? "warning" : "info",
          text,
          button("Discard it", () => this.#discard()),
        ),
      );
    }
    this.page.show(this.top, this.form);
    this.#draw();
  }

  #discard() {
    dropDraft(this.page.route);
    this.state = this.#fresh();
    this.faults = [];
    this.top.replaceChildren();
    this.#draw();
    this.form.querySelector("input, textarea, select")?.focus();
    announce("Discarded.");
  }

  #draw() {
    this.inputs.clear();
    const json = this.state.mode === "json";
    const parts = json ? [this.#jsonField()] : this.fields.map((field) => this.#field(field));
    const other = json ? "Edit as fields" : "Edit as JSON";
    this.form.replaceChildren(
      this.item.id === null ? this.#idField() : "",
      ...parts,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "submit", class: "button primary" }, "Save"),
        h("a", { class: "button", href: this.target, onclick: () => dropDraft(this.page.route) }, "Cancel"),
        this.fields.length > 0 && button(other, () => this.#switch(), "quiet"),
      ),
    );
    this.#mark();
  }

  #idField() {
    const hint = "Leave it empty to get a new one.";
    return this.#labelled(
      "id",
      "Id",
      hint,
      h("input", { type: "text", autocomplete: "off", spellcheck: "false", maxlength: 256 }),
      this.state,
      "id",
    );
  }

  #jsonField() {
    const area = h("textarea", {
      rows: Math.min(30, this.state.json.split("\n").length + 3),
      spellcheck: "false",
      class: "code",
    });
    return this.#labelled("json", "Data (JSON)", null, area, this.state, "json");
  }

  #field(field) {
    return this.#labelled(
      `field-${field.name}`,
      field.label,
      hintOf(field),
      inputOf(field),
      this.state.texts,
      field.name,
      field.required,
    );
  }

  /** Put a label, a hint and a place for faults around an input, and keep what is typed in `values[name]`. */
  #labelled(id, label, hint, input, values, name, required = false) {
    input.id = id;
    input.value = values[name] ?? "";
    if (required) input.setAttribute("aria-required", "true");
    if (hint) input.setAttribute("aria-describedby", `${id}-hint ${id}-fault`);
    input.addEventListener("input", () => {
      values[name] = input.value;
      saveDraft(this.page.route, this.sub, { ...this.state, version: this.item.version });
    });
    const fault = h("p", { class: "fault", id: `${id}-fault`, hidden: true });
    this.inputs.set(id, { input, fault, label, hint });
    return h(
      "div",
      { class: "field" },
      h("label", { for: id }, label, required && h("span", { class: "required" }, " (required)")),
      hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
      input,
      fault,
    );
  }

  /** Change between fields and JSON. What is typed goes along. */
  #switch() {
    const { state } = this;
    const data = this.#data();
    if (!data) return;
    this.faults = [];
    if (state.mode === "fields") {
      Object.assign(state, { mode: "json", json: format(data) });
    } else {
      this.fields = fieldsOf(this.collection.fields, data);
      Object.assign(state, { mode: "fields", texts: toTexts(this.fields, data) });
    }
    this.#draw();
    this.form.querySelector("textarea, input")?.focus();
  }

  /** Return the data that is typed; null if it isn't JSON, and then say where. */
  #data() {
    const { mode, texts, json } = this.state;
    if (mode === "fields") {
      const { data, faults } = toData(this.fields, texts, this.item.data);
      if (!faults.length) return data;
      this.#refuse(faults);
      return null;
    }
    try {
      const data = parse(json);
      if (isObject(data)) return data;
      this.#refuse([{ detail: "Write one JSON object: { … }." }]);
    } catch (error) {
      this.#refuse([{ detail: `This isn't JSON. ${error.message}` }]);
    }
    return null;
  }

  async #save(event) {
    event.preventDefault();
    const submit = this.form.querySelector("[type=submit]");
    const data = this.#data();
    if (!data || submit.getAttribute("aria-disabled")) return;
    // As JSON, the text goes as it was typed: the API keeps every digit of it.
    const body = this.state.mode === "json" ? this.state.json : JSON.stringify(data);
    const { collection, item, state } = this;
    this.#clear();
    submit.setAttribute("aria-disabled", "true");
    submit.textContent = "Saving…";
    try {
      const id = item.id ?? (state.id.trim() || null);
      const accepted = await this.app.api.write(collection, id, body, { version: item.version, key: state.key });
      dropDraft(this.page.route);
      const change = { ...accepted, collection, title: titleOf({ id: accepted.id, data }), data, removes: false };
      this.app.changes.add(change, () => this.app.api.outcome(collection, accepted.status));
      if (!this.page.signal.aborted) location.hash = `#/c/${collection.name}/${encodeURIComponent(accepted.id)}`;
    } catch (error) {
      this.#failed(error);
    } finally {
      submit.removeAttribute("aria-disabled");
      submit.textContent = "Save";
    }
  }

  #failed(error) {
    saveDraft(this.page.route, this.sub, { ...this.state, version: this.item.version });
    if (error instanceof SignedOut) {
      const text = `${error.message} Your text stays in this tab: sign in again, and it is back.`;
      this.#say(askToSignIn(this.app, text));
    } else if (error instanceof Problem && error.faults.length) {
      this.#refuse(error.faults);
    } else if (error instanceof Problem && error.parameter === "item_id") {
      this.#refuse([{ id: "id", detail: error.message }]);
    } else {
      const unsure = error instanceof Problem && error.status >= 500 && error.outcome !== "not_accepted";
      const more = unsure
        ? " Nobody knows whether the change was accepted. Saving it again does no harm."
        : " Your text is still here.";
      this.#say(notice("danger", messageOf(error) + more));
    }
  }

  #say(what) {
    what.tabIndex = -1;
    this.top.replaceChildren(what);
    what.focus();
  }

  #clear() {
    this.faults = [];
    this.top.replaceChildren();
    this.#mark();
  }

  /** Show faults at their fields, and all of them at the top. */
  #refuse(faults) {
    const json = this.state.mode === "json";
    this.faults = faults.map((fault) => {
      const name = json ? null : fieldOf(fault, this.fields);
      return { ...fault, id: fault.id ?? (json ? "json" : name === null ? null : `field-${name}`) };
    });
    this.#mark();
    const entries = this.faults.map(({ id, pointer, detail }) => {
      const place = this.inputs.get(id);
      const where = json ? pointer : place?.label;
      const text = where ? `${where}: ${detail}` : detail;
      return h("li", {}, place ? button(text, () => place.input.focus(), "link") : text);
    });
    this.#say(notice("danger", "The item isn't saved:", h("ul", {}, entries)));
  }

  #mark() {
    for (const [id, { input, fault, hint }] of this.inputs) {
      const own = this.faults.filter((entry) => entry.id === id);
      fault.hidden = !own.length;
      fault.textContent = own.map((entry) => entry.detail).join(" ");
      if (own.length) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
      const described = [hint && `${id}-hint`, own.length && `${id}-fault`].filter(Boolean).join(" ");
      if (described) input.setAttribute("aria-describedby", described);
      else input.removeAttribute("aria-describedby");
    }
  }
}

function inputOf({ kind, choices }) {
  const options = (pairs) =>
    h(
      "select",
      {},
      pairs.map(([value, text]) => h("option", { value }, text)),
    );
  if (kind === "boolean")
    return options([
      ["", "–"],
      ["true", "Yes"],
      ["false", "No"],
    ]);
  if (kind === "choice") return options([["", "–"], ...choices.map((choice) => [choice, choice])]);
  if (kind === "long") return h("textarea", { rows: 6 });
  if (kind === "json") return h("textarea", { rows: 4, spellcheck: "false", class: "code" });
  if (kind === "number") return h("input", { type: "text", inputmode: "decimal", autocomplete: "off" });
  return h("input", { type: kind === "date" ? "date" : "text", autocomplete: "off" });
}

function hintOf({ kind, max }) {
  if (kind === "json") return "JSON.";
  return max && ["text", "long"].includes(kind) ? `At most ${max.toLocaleString("en")} characters.` : null;
}
