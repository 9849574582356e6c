// Runs one scenario of page.ts in a new Chromium, and prints what the scenario returns as one line of JSON.
//
//   node run.ts SCENARIO ORIGIN    with CHROMIUM (the program) and SETTINGS (JSON) in the environment
//
// Chromium loads the page from ORIGIN. This program serves the page on a free port and lets Chromium use this port for
// ORIGIN, so that no port of this machine has to be free. Each run has a new profile, so its HTTP cache is empty.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript" };

const [scenario, origin] = process.argv.slice(2) as [string, string];
const settings: unknown = JSON.parse(process.env.SETTINGS ?? "{}");

const server = createServer(async (request, response) => {
  const name = request.url === "/" ? "page.html" : (request.url ?? "").slice(1);
  try {
    const content = await readFile(join(import.meta.dirname, "build", name));
    response.writeHead(200, { "Content-Type": TYPES[name.split(".").pop() ?? ""] });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;

const profile = await mkdtemp(join(tmpdir(), "readplane-chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--host-resolver-rules=MAP ${new URL(origin).host} 127.0.0.1:${port}`,
  ],
});
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.log(`console: ${message.text()}`));
  await page.goto(`${origin}/`);
  const result = await page.evaluate(([name, values]) => window.run(name, values), [scenario, settings] as const);
  console.log(JSON.stringify(result ?? null));
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
