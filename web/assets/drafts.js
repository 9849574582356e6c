// Keeps what a user types until it is saved, so that an expired sign-in or a reload loses no text.
//
// A draft lives in sessionStorage: in one tab, until it is saved, discarded or the user signs out. It belongs to one
// user, because another may sign in to the same tab.

const PREFIX = "readplane.draft:";

export function saveDraft(route, sub, draft) {
  sessionStorage.setItem(PREFIX + route, JSON.stringify({ sub, draft }));
}

/** Return a user's draft of a page; null if there is none. */
export function loadDraft(route, sub) {
  const saved = JSON.parse(sessionStorage.getItem(PREFIX + route) ?? "null");
  if (saved && saved.sub !== sub) dropDraft(route);
  return saved?.sub === sub ? saved.draft : null;
}

export function dropDraft(route) {
  sessionStorage.removeItem(PREFIX + route);
}

export function dropAllDrafts() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}
