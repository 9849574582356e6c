// Calls the API with fetch, as a page does that has no generated client.

/** An RFC 9457 problem document. */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  request_id: string;
  parameter?: string;
  pointer?: string;
  code?: string;
  errors?: { pointer: string; code: string; detail: string }[];
}

/** A response, and its body as JSON. */
export interface Answer {
  status: number;
  url: string;
  headers: Headers;
  body: any;
}

export interface Options {
  token?: string;
  /** A value to send as JSON. */
  body?: unknown;
  /** Text to send unchanged, instead of `body`. */
  text?: string;
  headers?: Record<string, string>;
}

/** Sends a request to the API and reads the response, whatever its status is. */
export async function send(method: string, url: string, options: Options = {}): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (options.token) {
    headers.set("Authorization", `Bearer ${options.token}`);
  }
  if (options.body !== undefined) {
    headers.set("Content-Type", "application/json");
  }
  const body = options.body === undefined ? options.text : JSON.stringify(options.body);
  const response = await fetch(url, { method, headers, body });
  const content = await response.text();
  const value: unknown = content ? JSON.parse(content) : null;
  return { status: response.status, url: response.url, headers: response.headers, body: value };
}

/**
 * Follows the Location of an accepted write to the status of its change until the change is applied. The Location is
 * relative to the URL of the write.
 *
 * @returns the change's id, which is the item's new version
 */
export async function applied(write: Answer, token: string): Promise<string> {
  if (write.status !== 202) {
    throw new Error(`The write is a ${write.status}: ${JSON.stringify(write.body)}`);
  }
  const location = new URL(write.headers.get("Location") ?? "", write.url);
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const change = await send("GET", location.href, { token });
    if (change.body.status === "applied") {
      return write.body.change_id;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${location.href} isn't applied after 30 s.`);
}
