import { BatchError, CloseError, PartialFlushError } from 'batch-please';
import { KeyedBatcher, type KeyedContext, type MemoryBatch } from 'batch-please/collectors';
import { TestClock, random, type Random } from 'batch-please/testing';
import { planOf, type Plan } from './plan.js';

type Fate = 'pending' | 'delivered' | 'refused' | 'dropped' | 'returned' | 'left';

interface Item {
  readonly key: number;
  readonly n: number;
  fate: Fate;
  /** When its fate was decided. */
  at: number;
}

interface Watched {
  readonly what: string;
  readonly item: Item | undefined;
  state: 'pending' | 'resolved' | 'rejected';
}

export interface KeyedOutcome {
  violations: string[];
  items: number;
  attempts: number;
  evicted: number;
}

/** One life of a KeyedBatcher, watched by a model that knows only items, keys and what the sink was given. */
export async function simulateKeyed(seed: number, trace: (line: string) => void = () => {}): Promise<KeyedOutcome> {
  const run = new Run(random(seed), trace);
  await run.live();
  return run.outcome;
}

class Run {
  readonly outcome: KeyedOutcome = { violations: [], items: 0, attempts: 0, evicted: 0 };
  readonly #plan: Plan;
  readonly #clock = new TestClock();
  readonly #batcher: KeyedBatcher<Item, number>;
  readonly #items: Item[] = [];
  /** Attempts that run, per key; an attempt whose signal has aborted is over. */
  readonly #running = new Map<number, number>();
  #open = 0;
  readonly #promises: Watched[] = [];
  /** Attempts begun by other keys since this key began to wait with a full batch. */
  readonly #waits = new Map<number, number>();
  /** An attempt has begun since promise callbacks last ran. */
  #began = false;
  #healthy = false;
  #paused = false;

  constructor(
    readonly random: Random,
    readonly trace: (line: string) => void,
  ) {
    const plan = (this.#plan = planOf(random));
    trace(JSON.stringify(plan));
    this.#batcher = new KeyedBatcher<Item, number>({
      clock: this.#clock,
      key: ({ key }) => key,
      batchFlush: (batch, context) => this.#sink(batch, context),
      flushConcurrency: plan.flushConcurrency,
      keyConcurrency: plan.keyConcurrency,
      maxPending: plan.maxPending,
      maxKeys: plan.maxKeys,
      idleTimeout: plan.idleTimeout,
      overflow: plan.overflow,
      maxBatchSize: plan.maxBatchSize,
      maxTimeSinceFirstItem: plan.maxTimeSinceFirstItem,
      flushTimeout: plan.flushTimeout,
      retry: plan.retry,
      giveUp: plan.giveUp,
      ...(plan.postFlush && { batchPostFlush: () => this.#wait(random.int(20)) }),
      batchDeadLetter: ({ items }) => {
        for (const item of items) this.#fate(item, 'dropped');
      },
    });
    this.#listen();
  }

  #listen(): void {
    const batcher = this.#batcher;
    batcher.on('refused', ({ item }) => this.#fate(item, 'refused'));
    batcher.on('dropped', ({ key, reason, batch, item }) => {
      this.#waits.delete(key);
      if (item !== undefined) this.#fate(item, 'dropped');
      if (reason === 'overflow') for (const each of batch?.items ?? []) this.#fate(each, 'dropped');
      if (this.random.chance(this.#plan.reentrant)) this.#add();
    });
    batcher.on('flushed', () => {
      if (this.random.chance(this.#plan.reentrant)) this.#add();
      this.#check();
    });
    batcher.on('failed', ({ key, error, retryAt }) =>
      this.trace(`failed ${key}: ${String(error)}, again at ${retryAt}`),
    );
    for (const name of ['failed', 'held', 'closed', 'drained'] as const) batcher.on(name, () => this.#check());
  }

  async live(): Promise<void> {
    for (let step = 0; step < this.#plan.steps && this.outcome.violations.length === 0; step++) {
      await this.#step();
      this.#check();
    }
    await this.#end();
    this.outcome.items = this.#items.length;
  }

  async #step(): Promise<void> {
    const { random } = this;
    const batcher = this.#batcher;
    const one = random.chance(0.3) ? { key: random.int(this.#plan.keys) } : undefined;
    switch (random.int(14)) {
      case 0:
        this.#watch(
          'flush',
          batcher.flush({ ...one, hurry: random.chance(0.5), ...(random.chance(0.3) && { timeout: 20 }) }),
        );
        break;
      case 1:
        this.#waits.clear();
        if (random.chance(0.2))
          for (const { items } of batcher.clear(one)) for (const item of items) this.#fate(item, 'returned');
        break;
      case 2:
        if (random.chance(0.3)) {
          this.#paused = !this.#paused;
          if (this.#paused) batcher.pause();
          else batcher.resume();
          this.#waits.clear();
        }
        break;
      case 3:
      case 4:
      case 5:
        await this.#clock.advance(random.int(25));
        break;
      default:
        for (let i = random.int(6); i >= 0; i--) this.#add();
    }
  }

  #add(): void {
    const { random } = this;
    // Key 0 is hot.
    const item: Item = {
      key: random.chance(0.4) ? 0 : random.int(this.#plan.keys),
      n: this.#items.length,
      fate: 'pending',
      at: 0,
    };
    this.#items.push(item);
    this.trace(`add ${item.key}:${item.n}`);
    const signal = random.chance(0.1) ? AbortSignal.abort(new BatchError('gone')) : undefined;
    switch (random.int(3)) {
      case 0:
        this.#batcher.addItem(item);
        break;
      case 1:
        if (signal) item.fate = 'returned';
        this.#watch('syncAddItem', this.#batcher.syncAddItem(item, { signal }));
        break;
      default:
        if (signal) item.fate = 'returned';
        this.#watch('deliverItem', this.#batcher.deliverItem(item, { signal }), item);
    }
    this.#noteWait(item.key);
  }

  /** A key all of whose batches are queued waits for nothing but a lane. */
  #noteWait(key: number): void {
    if (
      this.#plan.flushConcurrency === Infinity ||
      this.#plan.postFlush ||
      this.#paused ||
      this.#waits.has(key) ||
      this.#running.has(key)
    )
      return;
    if (this.#onlyQueued(key)) this.#waits.set(key, 0);
  }

  #onlyQueued(key: number): boolean {
    const batches = this.#batcher.state.of(key)?.batches ?? [];
    return batches.length > 0 && batches.every(({ status }) => status === 'queued');
  }

  #watch(what: string, promise: Promise<unknown>, item?: Item): void {
    const watched: Watched = { what, state: 'pending', item };
    this.#promises.push(watched);
    promise.then(
      () => (watched.state = 'resolved'),
      () => (watched.state = 'rejected'),
    );
  }

  // The sink

  #sink(batch: MemoryBatch<Item>, context: KeyedContext<number>): Promise<void> | void {
    const { key, signal } = context;
    const items = [...batch.items];
    const { random } = this;
    this.outcome.attempts++;
    this.trace(
      `${this.#clock.now()} begin ${key}: ${items.map(({ n }) => n).join()} attempt ${context.attempt} ${context.reason}`,
    );
    if (items.some((item) => item.key !== key)) this.#wrong(`a batch of key ${key} has items of another`);
    this.#begin(key);
    let over = (): void => {
      over = () => {};
      this.#finish(key);
    };
    signal.addEventListener('abort', () => over());
    if (random.chance(this.#plan.reentrant)) this.#add();
    const ends = (): void => {
      if (signal.aborted) return;
      over();
      if (!this.#healthy && random.chance(this.#plan.fails)) this.#fail(items);
      for (const item of items) this.#deliver(item);
    };
    if (random.chance(this.#plan.sync)) {
      ends();
      return;
    }
    if (!this.#healthy && random.chance(this.#plan.hangs)) return new Promise(() => {});
    return this.#wait(this.#duration()).then(ends);
  }

  /** Not about the timeout of an attempt: what ends then may count either way. */
  #duration(): number {
    const duration = this.random.int(30) + 0.5;
    const { flushTimeout } = this.#plan;
    return flushTimeout !== null && Math.abs(duration - flushTimeout) < 4 ? flushTimeout - 5 : duration;
  }

  #fail(items: Item[]): void {
    if (items.length < 2 || this.random.chance(0.5)) throw new Error('down');
    const failed = this.random.int(items.length);
    for (const [index, item] of items.entries()) if (index !== failed) this.#deliver(item);
    throw new PartialFlushError([[failed, new Error('bad row')]]);
  }

  #deliver(item: Item): void {
    this.#fate(item, 'delivered');
    const earlier = this.#plan.keyConcurrency === 1 && this.#plan.fails === 0 && this.#plan.hangs === 0;
    if (!earlier) return;
    for (let n = item.n - 1; n >= Math.max(0, item.n - 50); n--) {
      const other = this.#items[n] as Item;
      if (other.key === item.key && other.fate === 'pending' && this.#joined(other))
        this.#wrong(`${item.n} before ${n}, of key ${item.key}`);
    }
  }

  /** A caller may still wait for room with this item: with bounds, it is accepted later than it was added. */
  #joined(_item: Item): boolean {
    return this.#plan.maxPending === Infinity && this.#plan.maxKeys === Infinity;
  }

  #begin(key: number): void {
    const { flushConcurrency, keyConcurrency, keys } = this.#plan;
    this.#open++;
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1);
    if (this.#open > flushConcurrency) this.#wrong(`${this.#open} attempts at the same time`);
    if ((this.#running.get(key) ?? 0) > keyConcurrency) this.#wrong(`${this.#running.get(key)} attempts of key ${key}`);
    if (this.#paused) this.#wrong('an attempt has begun while paused');
    this.#waits.delete(key);
    const counts = this.#counts();
    for (const [other, begun] of this.#waits) {
      if (!this.#onlyQueued(other)) {
        this.#waits.delete(other); // for its retry or a trigger, by now
        continue;
      }
      // One attempt of each other key, besides those that had been granted a lane.
      const most = keys * keyConcurrency + Math.min(flushConcurrency, keys) + 1;
      if (!counts) continue;
      if (begun + 1 > most) this.#wrong(`key ${other} waits for more than ${most} attempts of others`);
      this.#waits.set(other, begun + 1);
    }
  }

  /**
   * Whether this attempt counts against those that wait. Called back in the turn of a key that has its lane, another key
   * may run all its batches at once: the first then waits for the call to return, if there is a lane for every key.
   */
  #counts(): boolean {
    const first = !this.#began;
    this.#began = true;
    if (first)
      queueMicrotask(() => {
        this.#began = false;
      });
    const { state } = this.#batcher;
    const busy = state.keys.filter((key) => (state.of(key)?.pending ?? 0) > 0).length;
    return first || busy * this.#plan.keyConcurrency > this.#plan.flushConcurrency;
  }

  #finish(key: number): void {
    this.#open--;
    const left = (this.#running.get(key) ?? 1) - 1;
    if (left === 0) this.#running.delete(key);
    else this.#running.set(key, left);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(resolve, ms);
    });
  }

  // What must hold

  #fate(item: Item, fate: Fate): void {
    // A sink that answers at the moment at which closing gives up no longer counts.
    const late = fate === 'left' && item.fate === 'delivered' && item.at >= this.#clock.now() - 1;
    if (item.fate !== 'pending' && !late) this.#wrong(`${item.key}:${item.n} was ${item.fate}, and is ${fate}`);
    item.fate = fate;
    item.at = this.#clock.now();
    this.trace(`${this.#clock.now()} ${item.key}:${item.n} ${fate}`);
  }

  #check(): void {
    const { counts, pending, keys } = this.#batcher.state;
    const { maxPending, maxKeys } = this.#plan;
    if (pending > maxPending) this.#wrong(`${pending} items are pending`);
    if (keys.length > maxKeys) this.#wrong(`${keys.length} keys are kept`);
    const sum = counts.delivered + counts.refused + counts.dropped + counts.returned + pending;
    if (sum !== counts.totalItems) this.#wrong(`A1: ${JSON.stringify(counts)}, pending ${pending}`);
    const each = keys.reduce((total, key) => total + (this.#batcher.state.of(key)?.pending ?? 0), 0);
    if (each !== pending) this.#wrong(`pending is ${pending}, of all keys ${each}`);
  }

  async #end(): Promise<void> {
    const { random } = this;
    if (random.chance(0.7)) {
      this.#healthy = true;
      this.#paused = false;
      this.#batcher.resume();
      for (let i = 0; i < 400 && this.#batcher.state.pending > 0; i++) {
        this.#watch('flush', this.#batcher.flush());
        await this.#clock.advance(100);
      }
      if (this.#batcher.state.pending > 0) this.#wrong(`${this.#batcher.state.pending} items are never delivered`);
    }
    this.#paused = false;
    const timeout = random.pick([0, 20, 5000]);
    const closing = this.#batcher.close({ timeout });
    this.#watch('close', closing);
    closing.catch((error: unknown) => {
      if (!(error instanceof CloseError)) this.#wrong(`close rejected with ${String(error)}`);
      else
        for (const { items } of error.batches as MemoryBatch<Item>[])
          for (const item of items) this.#fate(item, 'left');
    });
    await this.#clock.advance(7000);
    await this.#clock.advance(7000);
    for (const { what, state, item } of this.#promises) {
      if (state === 'pending') this.#wrong(`A2: a promise of ${what} is never settled`);
      else if (item !== undefined && (state === 'resolved') !== (item.fate === 'delivered')) {
        this.#wrong(`deliverItem of ${item.n} ${state}, but it was ${item.fate}`);
      }
    }
    const lost = this.#items.filter(({ fate }) => fate === 'pending');
    if (lost.length > 0) this.#wrong(`lost: ${lost.map(({ key, n }) => `${key}:${n}`).join()}`);
    const left = this.#items.filter(({ fate }) => fate === 'left').length;
    if (this.#batcher.state.pending !== left) this.#wrong(`left ${left}, pending ${this.#batcher.state.pending}`);
    const armed = this.#clock.pendingTimers;
    if (armed > 0) this.#wrong(`A6: ${armed} timers are left`);
    const delivered = this.#items.filter(({ fate }) => fate === 'delivered').length;
    const { counts, keys } = this.#batcher.state;
    if (counts.delivered !== delivered) this.#wrong(`delivered ${delivered}, counted ${counts.delivered}`);
    this.outcome.evicted = new Set(this.#items.map(({ key }) => key)).size - keys.length;
  }

  #wrong(what: string): void {
    this.trace(`WRONG ${what}`);
    if (this.outcome.violations.length < 5) this.outcome.violations.push(what);
  }
}
