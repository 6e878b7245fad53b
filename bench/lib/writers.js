import { itemOf } from './files.js';

/** Writers that each store their next item when the last one is on disk. */
export async function writers({ n, callers }, store) {
  let next = 0;
  async function writer() {
    while (next < n) await store(itemOf(next++));
  }
  await Promise.all(Array.from({ length: callers }, writer));
}
