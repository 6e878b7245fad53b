// A shared worker: one connection to the server for all tabs of this browser, which opens no more than six to one host.
import { follow } from './events.js';

/** @import { Job } from '../protocol.js' */
/** @import { News } from './events.js' */

/** The user of each tab. @type {Map<MessagePort, string>} */
const tabs = new Map();
let disconnect = () => {};
/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

/**
 * @template {keyof News} N
 * @param {N} name
 * @param {News[N]} data
 */
function tell(name, data) {
  for (const [port, user] of tabs) {
    if (name === 'job' && /** @type {Job} */ (data).user !== user) continue;
    const own = name === 'jobs' ? /** @type {Job[]} */ (data).filter((job) => job.user === user) : data;
    port.postMessage({ name, data: own });
  }
}

/** Connects anew, so that a tab which has just come gets the whole picture. Several that come at once share it. */
function reconnect() {
  clearTimeout(soon);
  soon = setTimeout(() => {
    disconnect();
    disconnect = tabs.size > 0 ? follow(new Set(tabs.values()), tell) : () => {};
  }, 10);
}

addEventListener('connect', (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (port === undefined) return;
  port.onmessage = (/** @type {MessageEvent<{ user?: string }>} */ { data: { user } }) => {
    if (user === undefined) tabs.delete(port);
    else tabs.set(port, user);
    // Those that stay need nothing new when one leaves.
    if (user !== undefined || tabs.size === 0) reconnect();
  };
});
