import type { Batch } from '../core/batch.js';
import type { Core } from '../core/core.js';
import { readOnly } from '../core/read-only.js';
import type { AppendQueue } from './append-queue.js';
import type { CollectorDriver } from './hooks.js';
import type { Reports } from './reports.js';
import type { BatchPleaseConfig, BatchPleaseState, BatchView } from './types.js';

interface StateParts<Item, State> {
  core: Core<State>;
  queue: AppendQueue<Item, State>;
  driver: CollectorDriver<Item, State>;
  reports: Reports<Item, State>;
  config: () => BatchPleaseConfig;
  /** Items refused or dropped before they were accepted. */
  turnedAway: () => number;
}

/** The live view of a collector: nothing is copied, each look reads the numbers of the moment. */
export function liveState<Item, State>(parts: StateParts<Item, State>): BatchPleaseState<Item, State> {
  const { core, queue, driver, reports, config, turnedAway } = parts;
  const counts = readOnly({
    get batchItems() {
      return core.size;
    },
    get totalItems() {
      return core.accepted + core.adopted + turnedAway();
    },
    get flushes() {
      return driver.counts.flushes;
    },
    get delivered() {
      return driver.counts.delivered;
    },
    get refused() {
      return driver.counts.refused;
    },
    get dropped() {
      return driver.counts.dropped;
    },
    get returned() {
      return core.returned;
    },
  });
  const times = readOnly({
    get firstItemOfBatch() {
      return core.size === 0 ? undefined : core.schedule.openedAt;
    },
    get lastFlush() {
      return core.schedule.lastFlush;
    },
  });
  return readOnly({
    counts,
    times,
    get config() {
      return config();
    },
    get batch() {
      return core.state;
    },
    get lastItem() {
      return queue.last === undefined ? undefined : driver.itemOf(queue.last);
    },
    get pending() {
      return core.pending;
    },
    get weight() {
      return core.weight;
    },
    get inFlight() {
      return inFlight(core);
    },
    get waiting() {
      return core.pending - inFlight(core).items;
    },
    get paused() {
      return core.paused;
    },
    get batches() {
      return [...core.log].filter(({ status, work }) => status !== 'settled' && work === undefined).map(viewOf);
    },
  });

  function viewOf(batch: Batch<State>): BatchView {
    const { size, weight, reason, attempt } = batch;
    const status = batch.status === 'aside' || batch.status === 'settled' ? 'held' : batch.status;
    const retryAt = status === 'retrying' ? batch.dueAt : undefined;
    return { id: reports.idOf(batch), size, weight, reason, attempt, status, retryAt };
  }
}

function inFlight<State>({ active }: Core<State>): { batches: number; items: number } {
  let batches = 0;
  let items = 0;
  for (const batch of active) {
    if (!batch.inFlight || batch.work !== undefined) continue;
    batches++;
    items += batch.size;
  }
  return { batches, items };
}
