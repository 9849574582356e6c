// Scenarios: what a page gets to read if the API refuses its request.
import { applied, send, type Answer, type Options, type Problem } from "./api.ts";
import { equal, ok } from "./check.ts";
import type { Settings } from "./settings.ts";

/** The page reads the problem document of every refusal, also of requests for which the browser sends a preflight. */
export async function problems({ url, tokens }: Settings): Promise<void> {
  const [editor, reader] = [tokens.editor, tokens.alice];
  const items = `${url}/items/notices`;
  const item = `${items}/problems`;
  const body = { title: "Kept" };
  const version = await applied(await send("PUT", item, { token: editor, body }), editor);

  const misfit = { title: "", priority: 10, colour: "red" };
  const wrong = await refused("PUT", item, { token: editor, body: misfit }, 400);
  equal(
    wrong.errors?.map(({ pointer, code }) => `${pointer} ${code}`).sort(),
    [" additional_properties", "/priority maximum", "/title min_length"],
    "all faults of the body",
  );
  ok(wrong.errors?.some(({ detail }) => detail.includes("colour")), "a detail names the unknown member");
  ok(wrong.errors?.some(({ pointer, code }) => pointer === wrong.pointer && code === wrong.code), "the first fault");
  const cut = await refused("PUT", item, { token: editor, text: "{", headers: JSON_TYPE }, 400);
  equal(cut.code, "not_json", "the code of a body that ends too early");
  const unknown = await refused("GET", `${items}?offset=1`, { token: reader }, 400);
  equal(unknown.parameter, "offset", "the unknown query parameter");

  await refused("GET", item, {}, 401);
  await refused("GET", item, { token: "no.valid.token" }, 401);
  await refused("PUT", item, { token: reader, body }, 403);
  await refused("GET", `${items}/missing`, { token: reader }, 404);
  await refused("GET", `${url}/nowhere`, { token: reader }, 404);
  await refused("DELETE", `${url}/no/where`, { token: reader }, 404);
  await refused("GET", url, { token: reader }, 404);

  for (const [method, path, allowed] of [
    ["PATCH", item, "DELETE,GET,HEAD,OPTIONS,PUT"],
    ["POST", item, "DELETE,GET,HEAD,OPTIONS,PUT"],
    ["DELETE", items, "GET,HEAD,OPTIONS,POST"],
    ["PUT", `${url}/health`, "GET,HEAD,OPTIONS"],
  ] as const) {
    await refused(method, path, { token: editor, body }, 405, ({ headers }) => headers.get("Allow") === allowed);
  }

  const future = `${url}/items/notices/problems?min_version=${versionAhead(3)}`;
  const early = await refused("GET", future, { token: reader }, 409, ({ headers }) => headers.has("Retry-After"));
  equal(early.parameter, "min_version", "the version that isn't applied yet");
  const ahead = await refused("GET", `${item}?min_version=${versionAhead(60)}`, { token: reader }, 400);
  equal(ahead.parameter, "min_version", "the version of the future");

  await refused("PUT", item, { token: editor, text: "title", headers: { "Content-Type": "text/plain" } }, 415);
  const long = JSON.stringify({ title: "Long", body: "x".repeat(256 * 1024) });
  await refused("PUT", item, { token: editor, text: long, headers: JSON_TYPE }, 413);

  const key = { "Idempotency-Key": crypto.randomUUID() };
  await applied(await send("POST", items, { token: editor, body, headers: key }), editor);
  const reused = await refused("POST", items, { token: editor, body: { title: "Other" }, headers: key }, 422);
  equal(reused.parameter, "Idempotency-Key", "the key that was used for another body");

  for (const [header, value, status] of [
    ["If-Match", `"${version}"`, 501],
    ["If-None-Match", "*", 501],
    ["If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 501],
    ["X-HTTP-Method-Override", "DELETE", 501],
    ["Content-Range", "bytes 0-1/100", 400],
    ["Content-Encoding", "gzip", 415],
  ] as const) {
    const options = { token: editor, body: { title: "Lost" }, headers: { [header]: value } };
    const problem = await refused("PUT", item, options, status);
    equal(problem.parameter, header, "the refused header");
  }
  const after = await send("GET", `${item}?min_version=${version}`, { token: reader });
  equal([after.body.version, after.body.data], [version, body], "the item after all refusals");
}

const JSON_TYPE = { "Content-Type": "application/json" };

/** Sends a request that the API must refuse, and returns the problem document. */
async function refused(
  method: string,
  url: string,
  options: Options,
  status: number,
  check: (answer: Answer) => boolean = () => true,
): Promise<Problem> {
  const answer = await send(method, url, options);
  const subject = `${method} ${url} ${JSON.stringify(options)}: ${JSON.stringify([...answer.headers])}`;
  equal(answer.status, status, subject);
  equal(answer.headers.get("Content-Type"), "application/problem+json", subject);
  const problem = answer.body as Problem;
  equal(problem.status, status, subject);
  ok(problem.title && problem.detail && problem.request_id, `${subject} says what happened`);
  ok(check(answer), `the headers of ${subject}`);
  return problem;
}

/** Returns a version (a UUIDv7) with a time in the future. */
function versionAhead(seconds: number): string {
  const time = (Date.now() + seconds * 1000).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}

/** A script may send the headers of the variable cors_headers. The browser sends no request with another one. */
export async function headers({ url, tokens }: Settings): Promise<void> {
  const traced = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  const list = await send("GET", `${url}/items/notices`, { token: tokens.alice, headers: traced });
  equal(list.status, 200, "a request with traceparent");
  equal((await send("GET", `${url}/nowhere`, { headers: traced })).status, 404, "an unknown path with traceparent");
  const other = send("GET", `${url}/items/notices`, { token: tokens.alice, headers: { "X-Unlisted": "1" } });
  equal(await outcome(other), "TypeError", "a request with a header that isn't listed");
}

/**
 * Reads without a token, reads an unknown path, and writes.
 *
 * @returns the status of each response, or the name of the error if there is none
 */
export async function outcomes({ url, path, tokens }: Settings): Promise<(number | string)[]> {
  return [
    await outcome(send("GET", `${url}/health`)),
    await outcome(send("GET", `${url}/nowhere`)),
    await outcome(send("PUT", url + path, { token: tokens.editor, body: { title: "Written" } })),
  ];
}

/** Returns the status of a response. If the browser hides the response or sends no request, it is "TypeError". */
async function outcome(call: Promise<Answer>): Promise<number | string> {
  return call.then(
    ({ status }) => status,
    (error: Error) => error.name,
  );
}
