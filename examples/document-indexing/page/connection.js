/** @import { Batch, Events, Job } from '../protocol.js' */

/**
 * @typedef {object} Listener
 * @property {(jobs: Job[]) => void} jobs
 * @property {(job: Job) => void} job
 * @property {(batches: Batch[]) => void} batch
 * @property {(database: Events['database']) => void} database
 * @property {(connected: boolean) => void} connected
 */

/** Milliseconds until the next attempt, where the browser makes none by itself. */
const RETRY = 3_000;

/**
 * Keeps a connection to the events of one user. The server sends all jobs on each connect, so nothing is missed for
 * good while it was cut.
 *
 * @param {string} user
 * @param {Listener} listener
 * @returns {() => void} ends it
 */
export function connect(user, listener) {
  /** @type {EventSource} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;

  const open = () => {
    source = new EventSource(`/api/events?user=${encodeURIComponent(user)}`);
    source.onopen = () => listener.connected(true);
    source.onerror = () => {
      listener.connected(false);
      // After an answer that is no event stream (a proxy's error page, say) the browser gives up.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY);
    };
    /** @param {keyof Events} name */
    const forward = (name) => {
      const heard = /** @type {(data: unknown) => void} */ (listener[name]);
      source.addEventListener(name, (/** @type {MessageEvent<string>} */ { data }) => heard(JSON.parse(data)));
    };
    for (const name of /** @type {const} */ (['jobs', 'job', 'batch', 'database'])) forward(name);
  };

  open();
  return () => {
    clearTimeout(retry);
    source.close();
  };
}
