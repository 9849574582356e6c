// The assertions of the page. Node.js's module `assert` doesn't exist in a browser.

/** Fails unless two values are the same JSON. */
export function equal(actual: unknown, expected: unknown, subject: string): void {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (got !== wanted) {
    throw new Error(`${subject}: ${got}, not ${wanted}`);
  }
}

/** Fails unless a value is true. */
export function ok(value: unknown, subject: string): void {
  equal(Boolean(value), true, subject);
}
