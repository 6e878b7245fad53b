import { follow } from './events.js';

/** @import { News } from './events.js' */

/** @typedef {{ [Name in keyof News]: (data: News[Name]) => void }} Listener */

/**
 * The events of one user, from the connection that all tabs share.
 *
 * @param {string} user
 * @param {Listener} listener
 * @returns {() => void} ends it
 */
export function connect(user, listener) {
  /**
   * @template {keyof News} N
   * @param {N} name
   * @param {News[N]} data
   */
  const tell = (name, data) => listener[name](data);
  if (typeof SharedWorker === 'undefined') return follow([user], tell);

  const { port } = new SharedWorker('/page/hub.js', { type: 'module' });
  port.onmessage = (/** @type {MessageEvent<{ name: keyof News, data: never }>} */ { data: { name, data } }) => {
    tell(name, data);
  };
  const join = () => port.postMessage({ user });
  const leave = () => port.postMessage({});
  // A page that is gone may come back, by the browser's "back".
  addEventListener('pagehide', leave);
  addEventListener('pageshow', join);
  join();
  return () => {
    removeEventListener('pagehide', leave);
    removeEventListener('pageshow', join);
    leave();
    port.close();
  };
}
