// JSON that keeps every digit. The API keeps `1.10` as it came; JSON.parse alone would turn it into 1.1.
//
// A number that JavaScript would write differently becomes a raw JSON value (JSON.rawJSON), which JSON.stringify writes
// as it was. Browsers without JSON.rawJSON get ordinary numbers.

const EXACT = typeof JSON.rawJSON === "function";

/** Parse JSON text. @throws {SyntaxError} if it isn't JSON */
export function parse(text) {
  if (!EXACT) return JSON.parse(text);
  return JSON.parse(text, (_name, value, context) => {
    const exact = typeof value !== "number" || String(value) === context.source;
    return exact ? value : JSON.rawJSON(context.source);
  });
}

/** Return a value of `parse` as JSON text, indented by two spaces. */
export function format(value) {
  return JSON.stringify(value, null, 2);
}

/** Make a number from its JSON text, with all its digits. @throws {SyntaxError} if it isn't a JSON number */
export function number(text) {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new SyntaxError(`${text} is not a number`);
  return parse(text);
}

/** Whether a value is a number, raw or not. */
export function isNumber(value) {
  return typeof value === "number" || (EXACT && JSON.isRawJSON(value));
}

/** Whether a value is an object with members. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);
}
