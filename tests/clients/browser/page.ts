// The script of page.html. run.ts calls `run` with the name of a scenario.
import * as caching from "./caching.ts";
import * as editing from "./editing.ts";
import * as refusals from "./refusals.ts";
import type { Settings } from "./settings.ts";

type Scenario = (settings: Settings) => Promise<unknown>;

declare global {
  interface Window {
    run: (scenario: string, settings: unknown) => Promise<unknown>;
  }
}

const scenarios: Record<string, Scenario> = { ...caching, ...editing, ...refusals };

window.run = async (name, settings) => {
  const scenario = scenarios[name];
  if (!scenario) {
    throw new Error(`There is no scenario ${name}.`);
  }
  return scenario(settings as Settings);
};
