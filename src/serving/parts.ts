import type { ServingEvents, ServingOptions } from './types.js';
import { Entrance } from './admission.js';
import { LocalPartitions, type Partitions, type PartitionHooks } from './partitions.js';
import { ServingPort } from './executor.js';
import { ThreadPartitions } from './workers/pool.js';
import type { Events } from '../events.js';
import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import { Engine } from '../core/engine.js';
import type { Retry } from '../options/retry.js';
import type { Row } from './row.js';

/** The options without the types that callers see. */
export interface AnyOptions extends ServingOptions<unknown, string> {
  mapInputs?: ((values: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  mapResults?: ((results: readonly never[]) => Awaitable<readonly unknown[]>) | null | undefined;
  handleBatch?: unknown;
}

export type ServingEngine = Engine<unknown, Row, readonly unknown[]>;

/** What a serving is made of. */
export interface Parts {
  readonly engine: ServingEngine;
  readonly port: ServingPort;
  readonly entrance: Entrance;
  readonly partitions: Partitions;
}

interface Lanes {
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

export function assemble({ owner, options, hooks, clock, events, retry }: Given): Parts {
  const lanes = lanesOf(options);
  const runtimeOptions: unknown = options.runtimeOptions ?? undefined;
  const timeout = options.batchTimeout ?? 100;
  const partitions: Partitions =
    lanes.worker === undefined
      ? new LocalPartitions(hooks, runtimeOptions)
      : new ThreadPartitions(owner, lanes.worker, lanes.execArgv, runtimeOptions);
  const port = new ServingPort({
    clock,
    events,
    partitions,
    retry,
    hooks: options.hooks ?? [],
    runtimeOptions,
    weighs: options.weigh != null,
    eager: timeout === 0,
    admit: () => {
      entrance.room.admit();
    },
  });
  const limits = {
    size: options.batchSize ?? 1,
    weight: options.maxBatchWeight ?? Infinity,
    age: timeout === 0 ? Infinity : timeout,
    sinceFlush: Infinity,
    interval: Infinity,
    jitter: 0,
    lanes: lanes.count,
    attempt: options.handlerTimeout ?? Infinity,
    entry: Infinity,
    random: Math.random,
  };
  const engine: ServingEngine = new Engine(port, limits, clock, clock.now(), false);
  port.engine = engine;
  engine.intake.capacity = Infinity;
  const entrance = new Entrance(engine, port, {
    batchSize: limits.size,
    maxBatchWeight: limits.weight,
    weigh: options.weigh ?? undefined,
    keepCallsWhole: options.keepCallsWhole ?? (options.hooks ?? []).length > 0,
    maxPending: options.maxPending ?? Infinity,
    overflow: options.overflow ?? 'wait',
  });
  return { engine, port, entrance, partitions };
}
