import type { BatchPleaseState } from '../../src/index.js';
import type { FileBatch, FileBatcherState, SpoolCounts } from './contract.js';

/** What the base class cannot know. */
export interface Counts {
  /** Lines that were handed over with their batch, and turned out to be damaged. */
  quarantined: number;
  /** Items of delivered batches that a failed sync has taken along. */
  lost: number;
  dead: number;
  /** Of earlier lives: lines that `open` found to be damaged, and items that it moved to `dead/`. */
  foundBad: number;
  foundDead: number;
}

/** The state of the base class, with the spool's. */
export function fileState<Item>(
  base: BatchPleaseState<Item, FileBatch<Item>>,
  counts: Readonly<Counts>,
  spool: { readonly bytes: number },
): FileBatcherState<Item> {
  const view: SpoolCounts = {
    get added() {
      return base.counts.totalItems + counts.foundBad + counts.foundDead;
    },
    get delivered() {
      return base.counts.delivered - counts.quarantined - counts.lost;
    },
    get refused() {
      return base.counts.refused;
    },
    get dropped() {
      return base.counts.dropped - (counts.dead - counts.foundDead) + counts.lost;
    },
    get quarantined() {
      return counts.quarantined + counts.foundBad;
    },
    get dead() {
      return counts.dead;
    },
    get pending() {
      return base.pending;
    },
    get bytes() {
      return spool.bytes;
    },
  };
  const print = Symbol.for('nodejs.util.inspect.custom');
  Object.defineProperty(view, print, { value: () => ({ ...view }) });
  const state = Object.defineProperties({}, Object.getOwnPropertyDescriptors(base)) as FileBatcherState<Item>;
  return Object.freeze(Object.defineProperty(state, 'spool', { value: Object.freeze(view), enumerable: true }));
}
