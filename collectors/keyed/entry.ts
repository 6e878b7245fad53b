import type {
  Awaitable,
  BatchPleaseEvents,
  BatchPleaseHooks,
  BatchPleaseOptions,
  FlushContext,
} from '../../src/index.js';
import type { KeyedClock } from './clock.js';
import { type Attempt, hop, isThenable, then } from './attempt.js';
import { closesLater, collectorOf, pause } from './calls.js';
import { Context } from './context.js';
import { type Lanes, Seat, type Tenant } from './lanes.js';
import { MemoryOfKey } from './memory-of-key.js';
import type { KeyCollector, KeyedContext, KeyedHooks } from './types.js';

/** Emitted by a paused collector at the end of a turn. */
const TURNED = Symbol.for('batch-please.turned');
const FORWARDED = ['flushed', 'failed', 'held', 'dropped', 'refused'] as const;
export type Forwarded = (typeof FORWARDED)[number];

/** Attempts of all keys, by the context argument of their hooks. */
const attempts = new WeakMap<FlushContext, Attempt>();

/** The part that the collectors of all keys share. */
export interface Owner<Item, Key, Batch> {
  readonly lanes: Lanes;
  readonly clock: KeyedClock;
  /** `batchTerminate` has been called for a batch. */
  terminated: boolean;
  /** Options of each collector but for its hooks. */
  readonly options: () => BatchPleaseOptions<Item, Batch>;
  readonly hooks: KeyedHooks<Item, Key, Batch> & Partial<BatchPleaseHooks<Item, Batch>>;
  readonly batcher: ((key: Key, options: BatchPleaseOptions<Item, Batch>) => KeyCollector<Item, Batch>) | undefined;
  /** User code of this key is called next: an attempt, or only the work after one. */
  began(entry: Entry<Item, Key, Batch>, isAttempt: boolean): void;
  /** A lane was released after the events of its attempt. */
  released(): void;
  /** An event of a key's collector, which is about to be handed on. */
  event(entry: Entry<Item, Key, Batch>, name: Forwarded, payload: BatchPleaseEvents<Item, Batch>[Forwarded]): void;
}

/** One key, its collector and its seat. */
export class Entry<Item, Key, Batch> implements Tenant {
  readonly seat = new Seat(this);
  readonly collector: KeyCollector<Item, Batch>;
  /** Items accepted and not settled, at the last look. */
  pending = 0;
  /** Items that closing has left, once it has ended. */
  undelivered = 0;
  /** Since when nothing is pending. */
  idleSince = 0;
  /** Set while its collector is to be closed as soon as there is a lane for it. */
  closing: (() => void) | undefined;
  /** Attempts that have begun, ever; for seeing that an add has started one. */
  begun = 0;

  constructor(
    readonly key: Key,
    readonly owner: Owner<Item, Key, Batch>,
  ) {
    const options = this.#options();
    this.collector =
      owner.batcher === undefined
        ? (new MemoryOfKey<Item>(options as never) as unknown as KeyCollector<Item, Batch>) // Batch is MemoryBatch
        : collectorOf(owner.batcher(key, options));
    for (const name of FORWARDED) {
      this.collector.on(name, (payload) => {
        owner.lanes.call(() => {
          owner.event(this, name, payload);
        });
      });
    }
    this.collector.on('closed', ({ undelivered }) => {
      this.undelivered = undelivered; // reported for all keys together
    });
    // A batch may become due without any call or event: by a timer of the collector, or once an asynchronous hook answers.
    this.collector.on(TURNED as never, () => {
      if (this.pending > 0) owner.lanes.wantSoon(this.seat);
    });
    // Also when it is flushed by others: by its owner, and when the process ends by itself.
    const flush = this.collector.flush.bind(this.collector);
    this.collector.flush = (given) => {
      const flushed = flush(given);
      owner.lanes.want(this.seat);
      return flushed;
    };
    this.collector.pause();
  }

  pause(): void {
    pause(this.collector);
  }

  resume(): void {
    if (this.closing === undefined || closesLater(this.collector)) this.collector.resume();
    else this.closing();
  }

  get waiting(): boolean {
    return this.collector.state.waiting > 0;
  }

  get inFlight(): boolean {
    return this.collector.state.inFlight.batches > 0;
  }

  /** Makes the open batch due without hurrying what waits for a retry. */
  demand(): void {
    void this.collector.flush({ hurry: false });
    this.owner.lanes.want(this.seat);
  }

  #options(): BatchPleaseOptions<Item, Batch> {
    const { hooks, batcher } = this.owner;
    const called = Object.fromEntries(
      (['batchAddItem', 'batchAddItems', 'batchId', 'batchSplit', 'shouldFlush'] as const)
        .filter((name) => hooks[name] != null)
        .map((name) => [name, this.#inside(hooks[name] as (...args: unknown[]) => unknown)]),
    );
    const { weigh, ...options } = this.owner.options();
    return {
      ...options,
      ...(weigh != null && { weigh: this.#inside(weigh) }),
      ...called,
      ...(hooks.batchInit != null && {
        batchInit: this.#inside((given: BatchPleaseOptions<Item, Batch>) => hooks.batchInit?.(given, this.key)),
      }),
      // A collector of another kind may do work of its own before its flush, which is part of the attempt.
      ...((hooks.batchPreFlush != null || batcher !== undefined) && { batchPreFlush: this.#preFlush }),
      ...(hooks.batchFlush != null && { batchFlush: this.#flush }),
      ...(hooks.batchPostFlush != null && {
        batchPostFlush: (batch: Batch, context: FlushContext) =>
          this.#following(() => hooks.batchPostFlush?.(batch, new Context(context, this.key))),
      }),
      ...(hooks.batchDeadLetter != null && {
        batchDeadLetter: (batch: Batch, error: unknown) =>
          this.#following(() => hooks.batchDeadLetter?.(batch, error, this.key)),
      }),
      ...(hooks.batchTerminate != null && {
        // Without a batch it is called once for all keys.
        batchTerminate: (batch: Batch | undefined) => {
          if (batch === undefined) return undefined;
          this.owner.terminated = true;
          return hooks.batchTerminate?.(batch, this.key);
        },
      }),
    } as BatchPleaseOptions<Item, Batch>;
  }

  #inside<Args extends unknown[]>(fn: (...args: Args) => unknown) {
    return (...args: Args): unknown => this.#call(() => fn(...args));
  }

  #call<T>(work: () => T): T {
    this.owner.began(this, false);
    return this.owner.lanes.call(work);
  }

  readonly #preFlush = (batch: Batch, context: FlushContext): Awaitable<Batch | void> => {
    if (this.owner.hooks.batchPreFlush == null) return then(this.#begin(context), () => undefined);
    return this.#attempt(context, false, (keyed) => this.owner.hooks.batchPreFlush?.(batch, keyed));
  };

  readonly #flush = (batch: Batch, context: FlushContext): Awaitable<unknown> =>
    this.#attempt(context, true, (keyed) => this.owner.hooks.batchFlush?.(batch, keyed));

  /** Calls a part of an attempt; the attempt is over when it fails, or with its last part. */
  #attempt<T>(context: FlushContext, last: boolean, work: (keyed: KeyedContext<Key>) => Awaitable<T>): Awaitable<T> {
    const begins = attempts.has(context) ? undefined : this.#begin(context);
    try {
      const answer = then(begins, () => this.owner.lanes.call(() => work(new Context(context, this.key))));
      if (isThenable(answer)) {
        return Promise.resolve(answer).then(
          (value) => {
            if (last) this.#over(context);
            return value;
          },
          (error: unknown) => {
            this.#over(context);
            throw error;
          },
        );
      }
      if (last) this.#over(context);
      return answer;
    } catch (error) {
      this.#over(context);
      throw error;
    }
  }

  /** Releases the lane once the collector has seen the result: taking its next turn before, it may expire the attempt. */
  #over(context: FlushContext): void {
    const attempt = attempts.get(context);
    if (attempt?.inTurn === true) attempt.over();
    if (attempt?.inTurn !== false) return;
    void hop().then(() => {
      attempt.over();
      this.owner.lanes.want(this.seat); // it has asked in vain while it had its lane
      this.owner.released();
    });
  }

  /** Takes a lane for an attempt; a promise if there is none at the moment. */
  #begin(context: FlushContext): Promise<void> | undefined {
    const { lanes } = this.owner;
    const { signal } = context;
    this.begun++;
    this.owner.began(this, true);
    let [open, has] = [true, false];
    const over = (): void => {
      if (!open) return;
      open = false;
      signal.removeEventListener('abort', over);
      if (has) lanes.end(this.seat);
    };
    const attempt = { over, inTurn: true };
    attempts.set(context, attempt);
    queueMicrotask(() => {
      attempt.inTurn = false;
    });
    // The collector gives the attempt up; what its hook still does holds no lane.
    signal.addEventListener('abort', over);
    const waiting = lanes.begin(this.seat);
    has = waiting === undefined;
    return waiting?.then(() => {
      has = true;
      if (open) return;
      lanes.end(this.seat);
      throw signal.reason as Error;
    });
  }

  /** Work after a batch, which keeps the collector's own lane: what waits behind it may start then. */
  #following(work: () => Awaitable<unknown>): Awaitable<unknown> {
    const answer = this.#call(work);
    void this.#wantAfter(answer);
    return answer;
  }

  async #wantAfter(answer: unknown): Promise<void> {
    try {
      await answer;
    } catch {
      // Reported by the collector.
    }
    await hop();
    if (this.pending > 0) this.owner.lanes.want(this.seat);
  }
}
