import type { SafeClock } from '../core/clock.js';
import { Core } from '../core/core.js';
import type { Events } from '../events.js';
import { Admission } from './admission.js';
import { AppendQueue } from './append-queue.js';
import { limitsOf } from './config.js';
import { type Batcher, CollectorDriver } from './hooks.js';
import { Reports } from './reports.js';
import { liveState } from './state.js';
import type { BatchPleaseHooks } from './types.js';
import type { BatchPleaseConfig, BatchPleaseEvents, BatchPleaseOptions, BatchPleaseState, Storage } from './types.js';

const HOOKS = [
  'batchInit',
  'batchAddItem',
  'batchAddItems',
  'batchId',
  'batchPreFlush',
  'batchFlush',
  'batchPostFlush',
  'batchSplit',
  'batchDeadLetter',
  'batchTerminate',
  'shouldFlush',
] as const;

/** Where ready-made collectors that keep items outside put their storage; a symbol, so that no user's field clashes. */
export const STORAGE: unique symbol = Symbol.for('batch-please.storage');

/** An event for the owner of a paused collector: it has made a turn, and a batch of it may be due. */
const TURNED = Symbol.for('batch-please.turned');
/** A method for the same owner: pauses the collector even while it closes; otherwise its retries begin without a lane. */
const HOLD = Symbol.for('batch-please.hold');

/** The parts of a collector. */
export interface Parts<Item, Batch> {
  readonly core: Core<Batch>;
  readonly queue: AppendQueue<Item, Batch>;
  readonly driver: CollectorDriver<Item, Batch>;
  readonly admission: Admission<Item, Batch>;
  readonly reports: Reports<Item, Batch>;
  readonly state: BatchPleaseState<Item, Batch>;
  readonly storage: Storage<Item, Batch> | undefined;
  readonly batcher: Batcher<Item, Batch>;
}

interface Given<Item, Batch> {
  batcher: Batcher<Item, Batch>;
  options: BatchPleaseOptions<Item, Batch>;
  config: () => BatchPleaseConfig;
  clock: SafeClock;
  /** Where the grid of `flushInterval` begins. */
  origin: number;
  events: Events<BatchPleaseEvents<Item, Batch>>;
  storage: Storage<Item, Batch> | undefined;
  /** Room may be free. */
  admit: () => void;
  flush: () => Promise<void>;
}

/** A hook given as an option becomes a method of the batcher, and so wins over its class. */
function resolveHooks<Item, Batch>({ batcher, options, storage }: Given<Item, Batch>): void {
  for (const name of HOOKS) {
    const value: unknown = Reflect.get(options, name);
    if (value != null) Object.defineProperty(batcher, name, { value, configurable: true, writable: true });
  }
  const own = storage?.begin(Object.fromEntries(HOOKS.map((name) => [name, Reflect.get(batcher, name) as never])));
  for (const [name, value] of Object.entries(own ?? {})) Object.defineProperty(batcher, name, { value });
}

export function assemble<Item, Batch>(given: Given<Item, Batch>): Parts<Item, Batch> {
  resolveHooks(given);
  const { batcher, options, config, clock, origin, events, storage, admit, flush } = given;
  const idOf = batcher.batchId == null ? undefined : (batch: Batch): string | undefined => batcher.batchId?.(batch);
  const reports = new Reports<Item, Batch>(events, () => batcher.constructor.name, idOf);
  const atExit = {
    flush,
    ends: (): void => {
      if (core.pending > 0) reports.warn(`the process ends while ${core.pending} items are pending`, undefined);
    },
  };
  const turned = (): void => {
    admit();
    if (core.paused) events.emit(TURNED as never, undefined as never);
  };
  const driver = new CollectorDriver<Item, Batch>({
    batcher,
    options,
    config,
    reports,
    storage,
    admit: turned,
    atExit,
  });
  const core = new Core<Batch>(driver, limitsOf(config()), clock, origin, config().unref);
  const queue = new AppendQueue<Item, Batch>(core, driver);
  core.durable = storage !== undefined;
  // A frozen collector goes without.
  Reflect.defineProperty(batcher, HOLD, { value: () => void (core.paused = true), configurable: true });
  driver.core = core;
  driver.queue = queue;
  const admission = new Admission<Item, Batch>({ core, driver, reports, storage, config });
  const state = liveState({ core, queue, driver, reports, config, admission });
  const { retry, giveUp } = config();
  if (giveUp === 'drop' && Math.min(retry.attempts, retry.maxElapsed) === Infinity && retry.delay === undefined) {
    reports.warn("giveUp: 'drop' never drops, since retry.attempts is Infinity", undefined);
  }
  return { core, queue, driver, admission, reports, state, storage, batcher };
}

/** The name of a required hook that is neither method nor option. */
export function missingHook<Item, Batch>(batcher: Partial<BatchPleaseHooks<Item, Batch>>): string | undefined {
  const isThere = (name: keyof BatchPleaseHooks<Item, Batch>): boolean => typeof batcher[name] === 'function';
  if (!isThere('batchInit')) return 'batchInit';
  if (!isThere('batchAddItem') && !isThere('batchAddItems')) return 'batchAddItem';
  return isThere('batchFlush') ? undefined : 'batchFlush';
}
