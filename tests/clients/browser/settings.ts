// What the test tells the page about the stack.
import type { Credentials, Pool } from "./sign_in.ts";

export interface Settings {
  /** The URL of the API with the stage. */
  url: string;
  /** The URL of a proxy of the API, with the stage. The browser takes it for another server. Only for caching.ts. */
  proxyUrl: string;
  /** The path below the stage that the scenario `signOut` reads and `outcomes` writes. */
  path: string;
  pool: Pool;
  /** An editor, who may write notices and bulletins. */
  editor: Credentials;
  /** The access tokens of an editor and of two users who may only read. */
  tokens: { editor: string; alice: string; bob: string };
}
