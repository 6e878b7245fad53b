import type { BatchPleaseState } from '../../src/index.js';
import type { FileBatch, FileBatcherState, SpoolCounts } from './contract.js';

/** Counts that the base class cannot know. */
export interface Counts {
  /** Items that the base class counts as delivered, and that the sink did not get. */
  quarantined: number;
  lost: number;
  /** Items that the base class counts as dropped: of batches that are in `dead/`, or of which nothing is left. */
  dead: number;
  givenUpQuarantined: number;
  givenUpLost: number;
  /** From earlier processes: lines that `open` found to be damaged, and items that it moved to `dead/`. */
  foundBad: number;
  foundDead: number;
}

export function noCounts(): Counts {
  return { quarantined: 0, lost: 0, dead: 0, givenUpQuarantined: 0, givenUpLost: 0, foundBad: 0, foundDead: 0 };
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
      return base.counts.dropped - counts.dead - counts.givenUpQuarantined - counts.givenUpLost;
    },
    get quarantined() {
      return counts.quarantined + counts.givenUpQuarantined + counts.foundBad;
    },
    get dead() {
      return counts.dead + counts.foundDead;
    },
    get lost() {
      return counts.lost + counts.givenUpLost;
    },
    get returned() {
      return base.counts.returned;
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
