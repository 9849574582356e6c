// A browser tab with the site, and what all scenarios demand of it: no error, no break of its policy, no other host.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import type { BrowserContext, Locator, Page, Response } from "playwright-core";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What the tests tell the scenarios. `sign_in` is the origin of the sign-in page. */
export interface Settings {
  site: string;
  sign_in: string;
  password: string;
  editor: string;
  reader: string;
  unique: string;
  images: string | null;
}

/** Ways in which a page may differ from a desktop browser without preferences. */
export interface Look {
  width?: number;
  height?: number;
  zoom?: number;
  dark?: boolean;
  still?: boolean;
}

export class Tab {
  readonly context: BrowserContext;
  readonly settings: Settings;
  page: Page;
  /** Regular expressions of console errors that this scenario causes on purpose. */
  expected: RegExp[] = [];
  readonly errors: string[] = [];

  private constructor(context: BrowserContext, page: Page, settings: Settings) {
    this.context = context;
    this.page = page;
    this.settings = settings;
  }

  static async open(profile: string, settings: Settings): Promise<Tab> {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM,
      headless: true,
      viewport: { width: 1280, height: 800 },
      locale: "en-GB",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-software-rasterizer",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    context.setDefaultTimeout(30_000);
    const [first] = context.pages();
    const tab = new Tab(context, first ?? (await context.newPage()), settings);
    await context.exposeFunction("reportViolation", (text: string) => tab.errors.push(text));
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        const { reportViolation } = window as unknown as { reportViolation: (text: string) => void };
        reportViolation(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    context.on("page", (page) => tab.#watch(page));
    tab.#watch(tab.page);
    return tab;
  }

  #watch(page: Page): void {
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      this.errors.push(`${message.type()}: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => this.errors.push(`exception: ${error.stack ?? error.message}`));
    page.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (protocol.startsWith("http") && hostname !== "localhost") this.errors.push(`another host: ${request.url()}`);
    });
  }

  /** Fail if anything has gone wrong that the scenario doesn't expect, or has not gone wrong although it does. */
  finish(): void {
    const expected = (text: string) => this.expected.some((pattern) => pattern.test(text));
    assert.deepEqual(
      this.errors.filter((text) => !expected(text)),
      [],
    );
    for (const pattern of this.expected) {
      assert.ok(
        this.errors.some((text) => pattern.test(text)),
        `nothing like ${pattern} has happened`,
      );
    }
  }

  /** Print where the tab is, for a failed scenario. */
  async describe(): Promise<void> {
    const text = await this.page
      .locator("body")
      .innerText({ timeout: 2000 })
      .catch(() => "(no text)");
    console.log(this.page.url(), this.errors, text.slice(0, 2000));
    if (process.env.FAILED) await this.page.screenshot({ path: process.env.FAILED }).catch(() => {});
  }

  /** Open a route of the site in this tab. */
  async open(route = "#/"): Promise<void> {
    await this.page.goto(`${this.settings.site}/${route}`);
    await this.heading().waitFor();
  }

  heading(text?: string): Locator {
    return this.page.getByRole("heading", { level: 1, ...(text ? { name: text, exact: true } : {}) });
  }

  button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  link(name: string): Locator {
    return this.page.getByRole("link", { name, exact: true });
  }

  main(): Locator {
    return this.page.getByRole("main");
  }

  /** Sign in by Cognito's page, from wherever the tab is. */
  async signIn(name: string): Promise<void> {
    await this.button("Sign in").first().click();
    await this.answerSignInPage(name);
    await this.button("Sign out").waitFor();
  }

  /** Fill in Cognito's sign-in form. */
  async answerSignInPage(name: string): Promise<void> {
    await this.page.waitForURL((url) => url.pathname === "/oauth2/authorize");
    await this.page.getByLabel("Username").fill(name);
    await this.page.getByLabel("Password").fill(this.settings.password);
    await this.page.getByLabel("Password").press("Enter");
    await this.page.waitForURL((url) => url.href.startsWith(this.settings.site) && url.search === "");
  }

  /** Wait until a change of this tab is applied. */
  async applied(title: string): Promise<void> {
    await this.page.locator(".change.applied", { hasText: title }).waitFor({ timeout: 90_000 });
  }

  /** Wait for a response of the site's API, of the next thing that the scenario does. */
  response(method: string, path: RegExp): Promise<Response> {
    return this.page.waitForResponse((response) => {
      return response.request().method() === method && path.test(new URL(response.url()).pathname);
    });
  }

  /** Check the page with axe: WCAG 2.2 AA and best practices, and no wider than the window. */
  async check(): Promise<void> {
    await this.page.evaluate(AXE); // by the debugger, so the page's policy needn't allow it
    const violations = await this.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } };
      interface Violation {
        id: string;
        nodes: { html: string; failureSummary: string }[];
      }
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const result = await axe.run({ runOnly: tags, resultTypes: ["violations"] });
      return result.violations.map(({ id, nodes }) => [id, ...nodes.map((node) => [node.html, node.failureSummary])]);
    });
    assert.deepEqual(violations, [], `axe on ${this.page.url()}`);
    const [wide, window] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth] as const);
    assert.ok(wide <= window, `${this.page.url()} is ${wide} pixels wide in a window of ${window}`);
  }

  /** Change how the browser looks at pages. A zoom of 2 leaves half of the pixels, each twice as large. */
  async look({ width = 1280, height = 800, zoom = 1, dark = false, still = false }: Look): Promise<void> {
    await this.page.setViewportSize({ width: Math.round(width / zoom), height: Math.round(height / zoom) });
    await this.page.emulateMedia({
      colorScheme: dark ? "dark" : "light",
      reducedMotion: still ? "reduce" : "no-preference",
    });
  }

  /** Press keys one after the other. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Return what has the focus: its role and its text. */
  focused(): Promise<string> {
    return this.page.evaluate(() => {
      const { activeElement: element } = document;
      return `${element?.tagName.toLowerCase()} ${element?.id || element?.textContent?.trim()}`;
    });
  }
}
