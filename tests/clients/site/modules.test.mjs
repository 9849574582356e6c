// Tests of the site's modules that touch no page. WEB is the folder with the modules.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.WEB}/${name}`));
const { format, number, parse } = await load("json.js");
const { fieldOf, fieldsOf, toData, toTexts } = await load("fields.js");
const { ago, duration, matches, summaryOf, titleOf, words } = await load("text.js");
const { follow } = await load("changes.js");
const { Problem, Unreachable } = await load("api.js");

test("JSON keeps every digit", () => {
  const text = '{"a":1.10,"b":12345678901234567890,"c":[1e400,-0.0],"d":1}';
  assert.equal(JSON.stringify(parse(text)), text);
  assert.equal(format(parse('{"a":1.10}')), '{\n  "a": 1.10\n}');
  assert.equal(JSON.stringify(number("0.50")), "0.50");
  for (const wrong of ["", "1.", "01", "0x1", "NaN", "1 2", "+1", '"1"'])
    assert.throws(() => number(wrong), SyntaxError, wrong);
});

const DECLARED = [
  { name: "title", type: "string", required: true, max_length: 200 },
  { name: "body", type: "string", max_length: 100000 },
  { name: "priority", type: "integer" },
  { name: "open", type: "boolean" },
  { name: "size", type: "string", choices: ["small", "large"] },
  { name: "tags", type: "array" },
];

test("a form leaves alone what the user hasn't touched", () => {
  for (const text of [
    "{}",
    '{"title":"A","body":"","priority":1.0,"open":false,"size":"small","tags":["x",{"y":1.10}],"more":{"z":null}}',
    '{"title":null,"priority":"high","open":"yes","size":"huge","body":7,"until":"a\\nb"}',
  ]) {
    const before = parse(text);
    const fields = fieldsOf(DECLARED, before);
    const { data, faults } = toData(fields, toTexts(fields, before), before);
    assert.deepEqual(faults, []);
    const expected = { ...parse(text), ...("title" in before ? {} : { title: "" }) };
    const sorted = (value) =>
      JSON.stringify(
        Object.keys(value)
          .sort()
          .map((name) => [name, value[name]]),
      );
    assert.equal(sorted(data), sorted(expected));
  }
});

test("a form says which text isn't a number or JSON", () => {
  const fields = fieldsOf(DECLARED, {});
  const { data, faults } = toData(fields, { title: "T", priority: "many", tags: "[1", open: "true", body: "" }, {});
  assert.deepEqual(data, { title: "T", open: true });
  assert.deepEqual(
    faults.map(({ pointer }) => pointer),
    ["/priority", "/tags"],
  );
});

test("a fault of the API belongs to a field", () => {
  const fields = fieldsOf([...DECLARED, { name: "a/b~c" }], {});
  assert.equal(fieldOf({ pointer: "/tags/0/name" }, fields), "tags");
  assert.equal(fieldOf({ pointer: "/a~1b~0c" }, fields), "a/b~c");
  assert.equal(fieldOf({ pointer: "/unknown" }, fields), null);
  assert.equal(
    fieldOf({ pointer: "", code: "required", detail: 'The schema requires "title" here.' }, fields),
    "title",
  );
  assert.equal(fieldOf({ pointer: "", code: "min_properties", detail: "…" }, fields), null);
});

test("items have titles, and a search finds their words", () => {
  const item = { id: "AX", data: { alpha_2: "AX", name: "Åland Islands", numeric: "248" } };
  assert.equal(titleOf(item), "Åland Islands");
  assert.equal(titleOf({ id: "x", data: {} }), "x");
  assert.equal(summaryOf(item), "AX · 248");
  for (const search of ["aland", "ÅLAND 248", "ax"]) assert.ok(matches(item, search), search);
  for (const search of ["aland 249", "numeric"]) assert.ok(!matches(item, search), search);
  assert.equal(words("order-lines"), "Order lines");
});

test("times are words", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.equal(ago("2026-01-01T00:00:00Z", now), "yesterday");
  assert.equal(ago("2026-01-01T23:59:30Z", now), "just now");
  assert.equal(ago("2026-01-01T23:57:00Z", now), "3 minutes ago");
  assert.deepEqual([1, 59, 60, 130, 3600, 7300, 90000].map(duration), [
    "1 second",
    "59 seconds",
    "1 minute",
    "2 minutes",
    "1 hour",
    "2 hours",
    "25 hours",
  ]);
});

/** Follow a change whose status is asked for from a list of answers. The last answer repeats. */
async function followed(...answers) {
  const pauses = [];
  let now = 0;
  const clock = { now: () => now, sleep: async (ms) => (pauses.push(ms), (now += ms)) };
  const ask = async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return { status: answer, reason: null };
  };
  return { outcome: await follow(ask, clock), pauses };
}

test("a change is asked for less and less often, and for two minutes at most", async () => {
  const { outcome, pauses } = await followed("pending", "pending", "pending", "pending", "pending", "applied");
  assert.deepEqual([outcome.status, pauses], ["applied", [250, 500, 1000, 2000, 2000]]);
  const late = await followed("pending");
  assert.equal(late.outcome.status, "late");
  const waited = late.pauses.reduce((sum, ms) => sum + ms);
  assert.ok(waited > 117000 && waited <= 120000, `${waited} ms`);
});

test("a change is asked for again while the API can't be reached", async () => {
  const { outcome, pauses } = await followed(new Unreachable(), new Problem(503, {}), new Problem(429, {}), "applied");
  assert.deepEqual([outcome.status, pauses.length], ["applied", 3]);
  assert.equal((await followed(new Problem(404, {}))).outcome.status, "unknown");
  await assert.rejects(followed(new Problem(403, {})), Problem);
});
