// Makes elements. Text goes in as text nodes only, so no data of the API ever becomes markup.

/**
 * Make an element.
 *
 * @param {string} tag its name, such as "p"
 * @param {Object<string, unknown>} properties attributes; `on…` are listeners; false, null and undefined are left out
 * @param {...(Node|string|null|undefined|false|Array)} children nodes, and strings that become text
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Say a text to screen readers. The element `live` is a live region. */
export function announce(text) {
  const live = document.getElementById("live");
  // A screen reader says a text only if it differs from the one before.
  live.textContent = live.textContent === text ? `${text} ` : text;
}

/** Make a notice: a coloured box with a text. @param {"info"|"warning"|"danger"|"success"} kind */
export function notice(kind, text, ...more) {
  const role = kind === "danger" ? "alert" : "status";
  return h("div", { class: `notice ${kind}`, role }, h("p", {}, text), ...more);
}

/** Make a button that does something on this page. */
export function button(label, onclick, kind = "") {
  return h("button", { type: "button", class: `button ${kind}`, onclick }, label);
}
