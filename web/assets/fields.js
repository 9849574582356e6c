// Turns an item's data into the fields of a form, and the fields' texts back into data. This module touches no page.

import { format, isNumber, number, parse } from "./json.js";
import { words } from "./text.js";

const LONG = 120; // characters; longer texts get a field with several lines

/**
 * Return the fields of a form: those that config.json declares, then the members that only this item has.
 *
 * @param {Array<object>} declared `fields` of a collection in config.json
 * @param {object} data the item's data; {} for a new item
 * @returns {Array<{name: string, label: string, kind: string, required: boolean, choices?: string[], max?: number}>}
 *   kind: text, long, date, number, boolean, choice, or json for everything that has no simple field
 */
export function fieldsOf(declared, data) {
  const names = new Set(declared.map((field) => field.name));
  const extra = Object.keys(data)
    .filter((name) => !names.has(name))
    .map((name) => ({ name }));
  return [...declared, ...extra].map((field) => ({
    name: field.name,
    label: words(field.name),
    kind: kindOf(field, data[field.name]),
    required: field.required ?? false,
    choices: field.choices ?? undefined,
    max: field.max_length ?? undefined,
  }));
}

function kindOf(field, value) {
  const kind = declaredKind(field) ?? valueKind(value);
  // A value of another type than the declared one, such as null, can only be shown as JSON.
  return value === undefined || fits(kind, value, field.choices) ? kind : "json";
}

function declaredKind(field) {
  if (field.choices) return "choice";
  if (field.type === "string") return field.format === "date" ? "date" : field.max_length > LONG * 4 ? "long" : "text";
  if (field.type === "number" || field.type === "integer") return "number";
  if (field.type === "boolean") return "boolean";
  return field.type ? "json" : null;
}

function valueKind(value) {
  if (typeof value === "string") return value.length > LONG || value.includes("\n") ? "long" : "text";
  if (isNumber(value)) return "number";
  return typeof value === "boolean" ? "boolean" : "json";
}

function fits(kind, value, choices) {
  if (kind === "choice") return choices.includes(value);
  if (kind === "number") return isNumber(value);
  if (kind === "boolean") return typeof value === "boolean";
  if (kind === "text") return typeof value === "string" && !value.includes("\n");
  if (kind === "date") return /^\d{4}-\d\d-\d\d$/.test(value);
  return kind === "long" ? typeof value === "string" : true;
}

/** Return the text of each field: name -> text. A member that the item doesn't have is "". */
export function toTexts(fields, data) {
  const text = (value) => (value === undefined ? "" : typeof value === "string" ? value : format(value));
  const json = (value) => (value === undefined ? "" : format(value));
  return Object.fromEntries(fields.map(({ name, kind }) => [name, (kind === "json" ? json : text)(data[name])]));
}

/**
 * Return the data that the fields' texts mean, and what is wrong with them.
 *
 * An empty field means that the item doesn't have the member. A text that was empty before, or that is required, stays
 * an empty text, so that the API can say what it expects.
 *
 * @param {object} before the item's data before the edit
 * @returns {{data: object, faults: Array<{pointer: string, detail: string}>}}
 */
export function toData(fields, texts, before) {
  const data = {};
  const faults = [];
  for (const { name, kind, required } of fields) {
    const text = texts[name] ?? "";
    if (text === "" && !(before[name] === "" || (required && ["text", "long"].includes(kind)))) continue;
    try {
      data[name] = valueOf(kind, text);
    } catch {
      const detail = kind === "number" ? "Write a number, such as 12 or 0.5." : "This isn't JSON.";
      faults.push({ pointer: pointerTo(name), detail });
    }
  }
  return { data, faults };
}

function valueOf(kind, text) {
  if (kind === "number") return number(text.trim());
  if (kind === "json" || kind === "boolean") return parse(text);
  return text;
}

/** Return the JSON pointer of a member. */
export function pointerTo(name) {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** Return the name of the field that a fault of the API belongs to; null if it belongs to the whole item. */
export function fieldOf(fault, fields) {
  const first = (fault.pointer ?? "").split("/")[1]?.replaceAll("~1", "/").replaceAll("~0", "~");
  if (first !== undefined) return fields.some(({ name }) => name === first) ? first : null;
  // The API says of a missing member where it is missing, and names it only in the text.
  const missing = fault.code === "required" ? /requires "(.+)" here/.exec(fault.detail)?.[1] : undefined;
  return fields.some(({ name }) => name === missing) ? missing : null;
}
