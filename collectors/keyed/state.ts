import { type Keys, add } from './keys.js';
import type { Entry } from './entry.js';
import type { Lanes } from './lanes.js';
import type { KeyedConfig, KeyedState } from './types.js';

interface StateParts<Item, Key, Batch> {
  readonly keys: Keys<Item, Key, Batch>;
  readonly lanes: Lanes;
  readonly config: () => KeyedConfig;
  /** Items that no key's collector has seen. */
  readonly turnedAway: { refused: number; dropped: number };
}

/** The live view: each look reads the numbers of the moment. */
export function keyedState<Item, Key, Batch>(parts: StateParts<Item, Key, Batch>): KeyedState<Item, Key, Batch> {
  const { keys, lanes, config, turnedAway } = parts;
  const states = (): Entry<Item, Key, Batch>['collector']['state'][] =>
    [...keys.all.values()].map((entry) => entry.collector.state);
  const inFlight = (): { batches: number; items: number } => {
    const all = states().map((state) => state.inFlight);
    return { batches: sum(all, (one) => one.batches), items: sum(all, (one) => one.items) };
  };
  return Object.freeze({
    get config() {
      return config();
    },
    get counts() {
      const total = { ...keys.removed };
      const all = states();
      for (const { counts } of all) add(total, counts);
      total.refused += turnedAway.refused;
      total.dropped += turnedAway.dropped;
      total.totalItems += turnedAway.refused + turnedAway.dropped;
      return { ...total, batchItems: sum(all, (state) => state.counts.batchItems) };
    },
    get pending() {
      return keys.pending;
    },
    get waiting() {
      return keys.pending - inFlight().items;
    },
    get inFlight() {
      return inFlight();
    },
    get paused() {
      return lanes.paused;
    },
    get batches() {
      return [...keys.all.values()].flatMap(({ key, collector }) =>
        collector.state.batches.map((batch) => ({ ...batch, key })),
      );
    },
    get keys() {
      return [...keys.all.keys()];
    },
    of: (key: Key) => keys.all.get(key)?.collector.state,
  });
}

function sum<T>(list: readonly T[], value: (one: T) => number): number {
  return list.reduce((total, one) => total + value(one), 0);
}
