// Runs one scenario of scenarios.ts in a new Chromium.
//
//   node run.ts SCENARIO    with CHROMIUM (the program) and SETTINGS (JSON) in the environment
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tab } from "./tab.ts";
import * as scenarios from "./scenarios.ts";
import type { Settings } from "./tab.ts";

const scenario = process.argv[2] as keyof typeof scenarios;
const settings = JSON.parse(process.env.SETTINGS ?? "{}") as Settings;
const profile = await mkdtemp(join(tmpdir(), "readplane-chromium-"));
const tab = await Tab.open(profile, settings);
try {
  await scenarios[scenario](tab);
  tab.finish();
} catch (error) {
  await tab.describe();
  throw error;
} finally {
  await tab.context.close();
  await rm(profile, { recursive: true, force: true });
}
