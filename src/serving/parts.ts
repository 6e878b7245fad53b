import type { ServingEvents, ServingOptions, ServingState } from './types.js';
import { Admission } from './admission.js';
import { LocalPartitions, type Partitions, type PartitionHooks } from './partitions.js';
import { Executor } from './executor.js';
import type { Placement } from './placement.js';
import type { Rows } from './rows.js';
import { ThreadPartitions } from './workers/pool.js';
import type { Events } from '../events.js';
import { readOnly } from '../read-only.js';
import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Retry } from '../options/retry.js';

/** The options without the types that callers see. */
export interface AnyOptions extends ServingOptions<unknown, string> {
  mapInputs?: ((values: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  mapResults?: ((results: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  handleBatch?: unknown;
}

export interface Parts {
  readonly rows: Rows;
  readonly placement: Placement;
  readonly admission: Admission;
  readonly partitions: Partitions;
}

export interface Lanes {
  count: number;
  worker: string | URL | undefined;
  execArgv: readonly string[] | undefined;
}

export function lanesOf({ partitions }: AnyOptions): Lanes {
  if (typeof partitions === 'object' && partitions !== null) {
    return { count: partitions.count, worker: partitions.worker, execArgv: partitions.execArgv };
  }
  return { count: partitions ?? 1, worker: undefined, execArgv: undefined };
}

export interface Given {
  owner: string;
  options: AnyOptions;
  hooks: PartitionHooks;
  clock: Clock;
  events: Events<ServingEvents>;
  retry: Retry;
}

/** Makes the parts of a serving. */
export function assemble({ owner, options, hooks, clock, events, retry }: Given): Parts {
  const lanes = lanesOf(options);
  const runtimeOptions: unknown = options.runtimeOptions ?? undefined;
  const handlerTimeout = options.handlerTimeout ?? Infinity;
  const partitions: Partitions =
    lanes.worker === undefined
      ? new LocalPartitions(hooks, runtimeOptions)
      : new ThreadPartitions({ owner, clock, ...lanes, worker: lanes.worker, runtimeOptions, handlerTimeout });
  const batchSize = options.batchSize ?? 1;
  const maxBatchWeight = options.maxBatchWeight ?? Infinity;
  const { rows, placement } = new Executor({
    clock,
    events,
    partitions,
    retry,
    hooks: options.hooks ?? [],
    runtimeOptions,
    batchSize,
    maxBatchWeight,
    batchTimeout: options.batchTimeout ?? 100,
    handlerTimeout,
    lanes: lanes.count,
    admit: () => {
      admission.admit();
    },
  });
  const admission = new Admission(placement, {
    batchSize,
    maxBatchWeight,
    weigh: options.weigh ?? undefined,
    keepCallsWhole: options.keepCallsWhole ?? (options.hooks ?? []).length > 0,
    maxPending: options.maxPending ?? Infinity,
    overflow: options.overflow ?? 'wait',
  });
  return { rows, placement, admission, partitions };
}

/** The live view of a serving: each look reads the numbers of the moment. */
export function servingState(placement: Placement): ServingState {
  const { counts } = placement;
  return readOnly({
    counts: readOnly({
      get calls() {
        return placement.calls;
      },
      get values() {
        return placement.values;
      },
      get batches() {
        return counts.batches;
      },
      get delivered() {
        return counts.delivered;
      },
      get failed() {
        return counts.failed;
      },
      get aborted() {
        return counts.aborted;
      },
    }),
    get pending() {
      return placement.pending;
    },
    get running() {
      return placement.running;
    },
  });
}
