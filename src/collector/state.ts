import type { Collector } from './hooks.js';
import type { BatchPleaseConfig, BatchPleaseState } from './types.js';
import type { Engine } from '../core/engine.js';
import { readOnly } from '../core/read-only.js';

/** The live view of a collector: nothing is copied, each look reads the numbers of the moment. */
export function liveState<Item, Batch>(
  { ledger, intake }: Engine<Item, Batch, Batch>,
  collector: Collector<Item, Batch>,
  config: BatchPleaseConfig,
  turnedAway: () => number,
): BatchPleaseState<Item, Batch> {
  const counts = readOnly({
    get batchItems() {
      return ledger.size;
    },
    get totalItems() {
      return ledger.accepted + ledger.adopted + turnedAway();
    },
    get flushes() {
      return collector.counts.flushes;
    },
    get delivered() {
      return collector.counts.delivered;
    },
    get refused() {
      return collector.counts.refused;
    },
    get dropped() {
      return collector.counts.dropped;
    },
  });
  const times = readOnly({
    get firstItemOfBatch() {
      return ledger.size === 0 ? undefined : ledger.openedAt;
    },
    get lastFlush() {
      return ledger.lastFlush;
    },
  });
  return readOnly({
    config,
    counts,
    times,
    get batch() {
      return intake.batch;
    },
    get lastItem() {
      return intake.last === undefined ? undefined : collector.itemOf(intake.last);
    },
    get pending() {
      return ledger.pending;
    },
  });
}
