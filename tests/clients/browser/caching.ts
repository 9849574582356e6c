// Scenarios: what the browser's own cache returns. Each returns what the page read. The test checks this, and which of
// the requests reached the API.
import { applied, send } from "./api.ts";
import type { Settings } from "./settings.ts";

/** Reads a path twice as Alice, then without a token, as after sign-out, and then as Bob. */
export async function signOut({ proxyUrl, tokens, path }: Settings): Promise<Read[]> {
  const reads: Read[] = [];
  for (const token of [tokens.alice, tokens.alice, undefined, tokens.bob]) {
    const { status, body } = await send("GET", proxyUrl + path, { token });
    reads.push({ status, body });
  }
  return reads;
}

interface Read {
  status: number;
  body: unknown;
}

/**
 * Reads a bulletin, which the browser then has in its cache. Somebody replaces the bulletin through the API's own URL,
 * so the browser keeps what it has cached for the proxy's URL. Reads the bulletin again, and then with the new version.
 */
export async function readYourWrites({ url, proxyUrl, tokens }: Settings): Promise<Read[]> {
  const token = tokens.editor;
  const path = `/items/bulletins/${crypto.randomUUID()}`;
  const reads: Read[] = [];
  const read = async (query = "") => {
    const { status, body } = await send("GET", proxyUrl + path + query, { token });
    reads.push({ status, body: body.data });
  };
  await applied(await send("PUT", url + path, { token, body: { title: "First" } }), token);
  await read();
  const version = await applied(await send("PUT", url + path, { token, body: { title: "Second" } }), token);
  await read();
  await read(`?min_version=${version}`);
  return reads;
}
