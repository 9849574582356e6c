// Scenarios: a user signs in, edits an item, and signs out.
import { applied, send } from "./api.ts";
import { equal, ok } from "./check.ts";
import type { Settings } from "./settings.ts";
import { signInWithAmplify, signInWithIdentityJs, type Session } from "./sign_in.ts";
import { configure, problemOf } from "../typescript/client.js";
import { NoticesApi } from "../typescript/readplane/index.js";

/** amazon-cognito-identity-js signs the user in, and the page calls the API with fetch. */
export async function identityJs({ url, pool, editor }: Settings): Promise<void> {
  const session = await signInWithIdentityJs(pool, editor);
  const token = await session.accessToken();
  const create = await send("POST", `${url}/items/notices`, { token, body: { title: "Created" } });
  const version = await applied(create, token);
  const item = `${url}/items/notices/${create.body.item_id}`;

  // Replace the item. Name the version that was read, so that this write is the newer one, whatever clock stamps it.
  const first = await send("GET", item, { token });
  equal([first.status, first.body.version, first.body.data], [200, version, { title: "Created" }], "the new item");
  equal(first.headers.get("ETag"), `"${version}"`, "the ETag");
  const head = await send("HEAD", item, { token });
  equal([head.status, head.headers.get("ETag"), head.body], [200, `"${version}"`, null], "the item's headers alone");
  const replacement = await send("PUT", `${item}?min_version=${version}`, { token, body: { title: "Replaced" } });
  ok(replacement.body.change_id > version, "the replacement is newer");

  // Read your own write. The item has the version as soon as it is applied.
  const ownVersion = await applied(replacement, token);
  const own = await send("GET", `${item}?min_version=${ownVersion}`, { token });
  equal([own.status, own.body.version, own.body.data], [200, ownVersion, { title: "Replaced" }], "the replaced item");

  const deletion = await applied(await send("DELETE", item, { token }), token);
  const missing = await send("GET", `${item}?min_version=${deletion}`, { token });
  equal([missing.status, missing.body.detail], [404, "There is no such item."], "the deleted item");

  await session.signOut();
  await rejects(session);
  equal((await send("GET", item)).status, 401, "a request without a token");
}

/** aws-amplify signs the user in, and the generated client calls the API with the session's token. */
export async function amplify({ url, pool, editor }: Settings): Promise<void> {
  const session = await signInWithAmplify(pool, editor);
  const api = new NoticesApi(configure({ url, token: session.accessToken }));
  const created = await api.createNoticesItem({ noticesData: { title: "Created" } });
  const itemId = created.item_id;
  const first = await api.readNoticesItem({ itemId, minVersion: [created.change_id] });
  equal([first.version, first.data], [created.change_id, { title: "Created" }], "the new item");

  const noticesData = { ...first.data, title: "Replaced" };
  const replaced = await api.replaceNoticesItem({ itemId, noticesData, minVersion: [first.version] });
  const own = await api.readNoticesItem({ itemId, minVersion: [replaced.change_id] });
  equal([own.version, own.data], [replaced.change_id, { title: "Replaced" }], "the replaced item");

  const deleted = await api.deleteNoticesItem({ itemId, minVersion: [own.version] });
  const missing = await problemOf(api.readNoticesItem({ itemId, minVersion: [deleted.change_id] }));
  equal([missing.status, missing.detail], [404, "There is no such item."], "the deleted item");
  const change = await api.readNoticesChange({ itemId, changeId: deleted.change_id });
  equal(change.status, "applied", "the deletion");

  await session.signOut();
  await rejects(session);
  const unknown = await problemOf(new NoticesApi(configure({ url })).readNoticesItem({ itemId }));
  equal(unknown.status, 401, "a request without a token");
}

/** Checks that a session has no token after its user has signed out. */
async function rejects(session: Session): Promise<void> {
  const token = await session.accessToken().catch(() => null);
  equal(token, null, "the token after sign-out");
}
