// Sign in with Cognito's hosted pages: the code flow with PKCE. No library.
//
// The access token and the refresh token are in memory only, so no other page and no later visitor finds them. A reload
// therefore signs in again. While Cognito still knows the user, that is a redirect there and back without a form.
// sessionStorage belongs to one tab. It holds `state` and the PKCE verifier while the user is at Cognito, and a mark
// that this tab was signed in.

const PENDING = "readplane.sign-in";
const MARK = "readplane.signed-in";
const EARLY = 60; // seconds before its end at which an access token is renewed

export class SignInError extends Error {}

export class SignIn {
  #access = null;
  #refresh = null;
  #ends = 0;
  #renewal = null;
  #channel = new BroadcastChannel("readplane");

  /** The signed-in user, from the tokens: {sub, name, groups}. The API checks the tokens; this is only for display. */
  user = null;

  /**
   * @param {{domain: string, client_id: string, scopes: string[]}} settings from config.json
   * @param {() => void} onend what to do when another tab has signed the user out
   */
  constructor(settings, onend) {
    this.settings = settings;
    this.home = `${location.origin}/`; // registered as callback URL and as logout URL
    this.#channel.onmessage = async () => {
      const refresh = this.forget();
      onend();
      await this.#revoke(refresh);
    };
  }

  /** Whether this tab was signed in before it was reloaded. */
  get wasSignedIn() {
    return !this.user && sessionStorage.getItem(MARK) !== null;
  }

  /** Go to Cognito's page. Cognito sends the user back, and `finish` returns the route. @param {string} route */
  async begin(route) {
    sessionStorage.removeItem(MARK); // so that a sign-in that fails isn't tried again by itself
    const [state, verifier] = [random(), random()];
    sessionStorage.setItem(PENDING, JSON.stringify({ state, verifier, route }));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    location.assign(
      `${this.settings.domain}/oauth2/authorize?${new URLSearchParams({
        response_type: "code",
        client_id: this.settings.client_id,
        redirect_uri: this.home,
        scope: this.settings.scopes.join(" "),
        state,
        code_challenge: base64url(new Uint8Array(digest)),
        code_challenge_method: "S256",
      })}`,
    );
  }

  /**
   * End a sign-in, if Cognito has just sent the user back with a code.
   *
   * The page to go to comes from sessionStorage, never from the URL. So no link can lead a user elsewhere.
   *
   * @returns {Promise<string|null>} the route from which the user went to sign in; null if nobody is signing in
   * @throws {SignInError} if Cognito refused, or the code doesn't belong to this tab
   */
  async finish() {
    const answer = new URLSearchParams(location.search);
    if (!answer.has("code") && !answer.has("error")) return null;
    const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
    sessionStorage.removeItem(PENDING); // before anything else, so that neither is used twice
    const route = pending?.route?.startsWith("#/") ? pending.route : "#/";
    history.replaceState(null, "", `/${route}`); // the code leaves the address bar and the history
    if (!pending || answer.get("state") !== pending.state) {
      throw new SignInError("This sign-in was not started in this tab. Sign in again.");
    }
    if (answer.has("error")) throw new SignInError("You are not signed in, because the sign-in page refused.");
    const { code } = Object.fromEntries(answer);
    await this.#exchange({
      grant_type: "authorization_code",
      code,
      redirect_uri: this.home,
      code_verifier: pending.verifier,
    });
    return route;
  }

  /** Return an access token that is valid for at least a moment; null if nobody is signed in or it can't be renewed. */
  async token() {
    if (this.#access && Date.now() / 1000 < this.#ends - EARLY) return this.#access;
    return (await this.renew()) ? this.#access : null;
  }

  /**
   * Get a new access token for the refresh token. Calls at the same time share one request.
   *
   * @returns {Promise<boolean>} whether there is a new one
   */
  async renew() {
    if (!this.#refresh) return false;
    this.#renewal ??= this.#exchange({ grant_type: "refresh_token", refresh_token: this.#refresh })
      .then(
        () => true,
        (error) => {
          if (!(error instanceof SignInError)) throw error; // offline: the tokens may still be good
          this.forget();
          return false;
        },
      )
      .finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  /** Forget the tokens. @returns {string|null} the refresh token, to revoke it */
  forget() {
    const refresh = this.#refresh;
    [this.#access, this.#refresh, this.#ends, this.user] = [null, null, 0, null];
    sessionStorage.removeItem(MARK);
    return refresh;
  }

  /** Sign out here, in all tabs and at Cognito. It goes on if revoking the refresh token fails. */
  async end() {
    const refresh = this.forget();
    this.#channel.postMessage("signed out");
    await this.#revoke(refresh);
    const query = new URLSearchParams({ client_id: this.settings.client_id, logout_uri: this.home });
    location.assign(`${this.settings.domain}/logout?${query}`);
  }

  async #revoke(token) {
    if (!token) return;
    await this.#post("/oauth2/revoke", { token }).catch(() => {});
  }

  async #exchange(parameters) {
    const response = await this.#post("/oauth2/token", parameters);
    if (response.status >= 500) throw new TypeError("The sign-in service doesn't answer.");
    if (!response.ok) throw new SignInError("You are not signed in: the code has expired or was already used.");
    const tokens = await response.json();
    const access = claims(tokens.access_token);
    this.#access = tokens.access_token;
    this.#refresh = tokens.refresh_token ?? this.#refresh; // Cognito sends a new one only if it rotates them
    this.#ends = Date.now() / 1000 + tokens.expires_in;
    const name = tokens.id_token ? claims(tokens.id_token).email : this.user?.name;
    this.user = { sub: access.sub, name: name ?? access.username, groups: access["cognito:groups"] ?? [] };
    sessionStorage.setItem(MARK, "1");
  }

  #post(path, parameters) {
    return fetch(this.settings.domain + path, {
      method: "POST",
      body: new URLSearchParams({ client_id: this.settings.client_id, ...parameters }),
      credentials: "omit",
      signal: AbortSignal.timeout(5000),
    });
  }
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function claims(token) {
  const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}
