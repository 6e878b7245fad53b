/** @import { Events } from '../protocol.js' */

/**
 * What comes of the server: its events, and whether it answers.
 *
 * @typedef {Events & { connected: { answers: boolean, reason?: string } }} News
 */

/** @typedef {<N extends keyof News>(name: N, data: News[N]) => void} Tell */

/** Milliseconds until the next attempt, where the browser makes none by itself. */
const RETRY = 3_000;
const NAMES = /** @type {const} */ (['jobs', 'job', 'history', 'batch', 'simulation', 'database']);

/**
 * Keeps a connection to the events of some users. The server sends everything on each connect, so nothing is missed for
 * good while it was cut.
 *
 * @param {Iterable<string>} users
 * @param {Tell} tell
 * @returns {() => void} ends it
 */
export function follow(users, tell) {
  const address = `/api/events?${new URLSearchParams([...users].map((user) => ['user', user]))}`;
  /** @type {EventSource} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  let ended = false;

  const open = () => {
    source = new EventSource(address);
    source.onopen = () => tell('connected', { answers: true });
    source.onerror = () => void failed();
    for (const name of NAMES) {
      source.addEventListener(name, ({ data }) => tell(name, JSON.parse(/** @type {string} */ (data))));
    }
  };
  const failed = async () => {
    tell('connected', { answers: false });
    // After an answer that is no event stream the browser gives up.
    if (source.readyState !== EventSource.CLOSED) return;
    retry = setTimeout(open, RETRY);
    const reason = await refusalOf(address);
    if (!ended && reason !== undefined) tell('connected', { answers: false, reason });
  };

  open();
  return () => {
    ended = true;
    clearTimeout(retry);
    source.close();
  };
}

/** Why the server refuses, if it says so. @param {string} address */
async function refusalOf(address) {
  try {
    const answer = await fetch(address);
    if (answer.ok) {
      await answer.body?.cancel();
      return undefined;
    }
    /** @type {{ error?: unknown }} */
    const { error } = await answer.json();
    return String(error);
  } catch {
    // It does not answer at all.
  }
  return undefined;
}
