// What an application adds to the generated client in readplane/: sign-in, retries and readable errors.
import { Configuration, ResponseError, type Problem } from "./readplane/index.js";

/** What the generated client needs to know about a deployment and a caller. */
export interface Access {
  /** The API's URL with the stage, such as https://abc.execute-api.eu-central-1.amazonaws.com/v1. */
  url: string;
  /** Returns a valid access token of the signed-in user. The client asks before each request that needs a token. */
  token?: () => Promise<string>;
  /** The API key of a backend. */
  apiKey?: string;
}

/** Returns the configuration that each generated API class takes. */
export function configure({ url, token, apiKey }: Access): Configuration {
  return new Configuration({ basePath: url, accessToken: token, apiKey, fetchApi: fetchWithRetries });
}

/** For how long a request is repeated, in milliseconds. On AWS a write is applied after 60 seconds by default. */
const PATIENCE = 120_000;

/**
 * Sends a request. On 409 (a version isn't applied yet), 429 and 503, waits as long as the header Retry-After says and
 * sends the request again. Repeating a PUT or DELETE is always safe. Repeating a POST is safe if it has an
 * Idempotency-Key.
 */
export async function fetchWithRetries(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const response = await fetch(input, init);
    const seconds = Number(response.headers.get("Retry-After"));
    if (response.ok || !(seconds > 0) || Date.now() + seconds * 1000 > end) {
      return response;
    }
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

/** Waits for a call that must fail, and returns the problem document of its response. */
export async function problemOf(call: Promise<unknown>): Promise<Problem> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ResponseError) {
      return (await error.response.json()) as Problem;
    }
    throw error;
  }
  throw new Error("The call succeeded.");
}
