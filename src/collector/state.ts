import type { Batch } from '../core/batch.js';
import type { Core } from '../core/core.js';
import { liveView } from '../read-only.js';
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
  admission: { readonly turnedAway: number };
}

type Source = StateParts<unknown, unknown>;
type View = BatchPleaseState<unknown, unknown>;

const countsOf = /* @__PURE__ */ liveView<Source, View['counts']>({
  batchItems: ({ core }) => core.size,
  totalItems: ({ core, admission }) => core.accepted + core.adopted + admission.turnedAway,
  flushes: ({ driver }) => driver.counts.flushes,
  delivered: ({ driver }) => driver.counts.delivered,
  refused: ({ driver }) => driver.counts.refused,
  dropped: ({ driver }) => driver.counts.dropped,
  returned: ({ core }) => core.returned,
});

const timesOf = /* @__PURE__ */ liveView<Source, View['times']>({
  firstItemOfBatch: ({ core }) => (core.size === 0 ? undefined : core.schedule.openedAt),
  lastFlush: ({ core }) => core.schedule.lastFlush,
});

const stateOf = /* @__PURE__ */ liveView<Source & Pick<View, 'counts' | 'times'>, View>({
  counts: ({ counts }) => counts,
  times: ({ times }) => times,
  config: ({ config }) => config(),
  batch: ({ core }) => core.state,
  lastItem: ({ queue, driver }) => (queue.last === undefined ? undefined : driver.itemOf(queue.last)),
  pending: ({ core }) => core.pending,
  weight: ({ core }) => core.weight,
  inFlight: ({ core }) => inFlight(core),
  waiting: ({ core }) => core.pending - inFlight(core).items,
  paused: ({ core }) => core.paused,
  batches: ({ core, reports }) =>
    [...core.log]
      .filter(({ status, work }) => status !== 'settled' && work === undefined)
      .map((batch) => viewOf(batch, reports)),
});

/** The live view of a collector: nothing is copied, each look reads the numbers of the moment. */
export function liveState<Item, State>(parts: StateParts<Item, State>): BatchPleaseState<Item, State> {
  const source = parts as unknown as Source;
  const { core, queue, driver, reports, config, admission } = source;
  const [counts, times] = [countsOf(source), timesOf(source)];
  // By name: each object made by spreading would have a hidden class of its own.
  const view = stateOf({ core, queue, driver, reports, config, admission, counts, times });
  return view as BatchPleaseState<Item, State>;
}

function viewOf(batch: Batch<unknown>, reports: Reports<unknown, unknown>): BatchView {
  const { size, weight, reason, attempt } = batch;
  const status = batch.status === 'aside' || batch.status === 'settled' ? 'held' : batch.status;
  const retryAt = status === 'retrying' ? batch.dueAt : undefined;
  return { id: reports.idOf(batch), size, weight, reason, attempt, status, retryAt };
}

function inFlight({ active }: Core<unknown>): { batches: number; items: number } {
  let batches = 0;
  let items = 0;
  for (const batch of active) {
    if (!batch.inFlight || batch.work !== undefined) continue;
    batches++;
    items += batch.size;
  }
  return { batches, items };
}
