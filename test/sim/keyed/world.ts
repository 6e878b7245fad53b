import { KeyedBatcher } from 'batch-please/collectors';
import { TestClock, type Random } from 'batch-please/testing';
import { checkEnd, comeToRest } from './end.js';
import { Hooks } from './hooks.js';
import { Order } from './order.js';
import type { More, Plan } from './plan.js';
import type { Fate, Item, KeyedOutcome, Watched } from './records.js';
import { Sink } from './sink.js';
import { Workload } from './workload.js';

/** One life of a KeyedBatcher, watched by a model that knows only items, keys and what the hooks were given. */
export class World {
  readonly outcome: KeyedOutcome = { violations: [], items: 0, attempts: 0, evicted: 0, waited: 0, late: 0, made: 0 };
  readonly clock = new TestClock();
  /** The clock of collectors that have one of their own: it shows another time, and moves by the same. */
  readonly own = new TestClock();
  readonly items: Item[] = [];
  readonly promises: Watched[] = [];
  readonly order = new Order(this);
  readonly hooks = new Hooks(this);
  readonly sink = new Sink(this);
  readonly workload = new Workload(this);
  readonly batcher: KeyedBatcher<Item, number>;
  healthy = false;
  paused = false;
  /** Callers add nothing more, from hooks and listeners neither. */
  resting = false;

  constructor(
    readonly plan: Plan,
    readonly more: More,
    readonly random: Random,
    /** For what the features add. */
    readonly extra: Random,
    readonly trace: (line: string) => void,
  ) {
    this.batcher = new KeyedBatcher<Item, number>({
      clock: this.clock,
      key: ({ key }) => key,
      batchFlush: (batch, context) => this.sink.flush(batch, context.key, context),
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
      ...(plan.postFlush && { batchPostFlush: () => this.wait(random.int(20)) }),
      ...this.hooks.options(),
      batchDeadLetter: ({ items }) => {
        for (const item of items) this.fate(item, 'dropped');
      },
    });
    this.#listen();
  }

  #listen(): void {
    const { batcher, workload } = this;
    const mayAdd = (): void => {
      if (this.random.chance(this.plan.reentrant) && !this.resting) workload.add();
    };
    batcher.on('refused', ({ item }) => this.fate(item, 'refused'));
    batcher.on('dropped', ({ key, reason, batch, item }) => {
      this.order.waits.delete(key);
      if (item !== undefined) this.fate(item, 'dropped');
      if (reason === 'overflow') for (const each of batch?.items ?? []) this.fate(each, 'dropped');
      mayAdd();
    });
    batcher.on('flushed', () => {
      mayAdd();
      this.look();
    });
    batcher.on('failed', ({ key, error, retryAt }) =>
      this.trace(`failed ${key}: ${String(error)}, again at ${retryAt}`),
    );
    for (const name of ['failed', 'held', 'closed', 'drained'] as const) batcher.on(name, () => this.look());
  }

  async live(): Promise<void> {
    for (let step = 0; step < this.plan.steps && this.outcome.violations.length === 0; step++) {
      await this.workload.step();
      this.check();
    }
    if (this.random.chance(0.7)) await comeToRest(this);
    await checkEnd(this);
    this.outcome.items = this.items.length;
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(resolve, ms);
    });
  }

  /** Both clocks, in turn. */
  async advance(ms: number): Promise<void> {
    if (!['timers', 'alone'].includes(this.more.factory)) return this.clock.advance(ms);
    for (let left = ms; ;) {
      const part = Math.min(left, Math.max(1 + this.extra.int(15), ms / 20));
      await this.clock.advance(part);
      await this.own.advance(part);
      if ((left -= part) <= 0) return;
    }
  }

  fate(item: Item, fate: Fate): void {
    const now = this.clock.now();
    // A sink that answers at the moment at which closing gives up no longer counts.
    const late = fate === 'left' && item.fate === 'delivered' && item.at >= now - 1;
    if (item.fate !== 'pending' && !late) this.wrong(`${item.key}:${item.n} was ${item.fate}, and is ${fate}`);
    item.fate = fate;
    item.at = now;
    this.trace(`${now} ${item.key}:${item.n} ${fate}`);
  }

  /** From user code. A collector that ignores the options calls its hooks without the batcher. */
  look(): void {
    if (this.more.factory !== 'alone') this.#checkCounts();
  }

  check(): void {
    this.order.step();
    this.#checkCounts();
    const taken = this.items.filter(({ added, fate }) => added && fate === 'pending').length;
    if (taken > this.plan.maxPending) this.wrong(`${taken} items are in batches`);
  }

  #checkCounts(): void {
    const { counts, pending, keys } = this.batcher.state;
    const { maxPending, maxKeys } = this.plan;
    if (pending > maxPending) this.wrong(`${pending} items are pending`);
    if (keys.length > maxKeys) this.wrong(`${keys.length} keys are kept`);
    const sum = counts.delivered + counts.refused + counts.dropped + counts.returned + pending;
    if (sum !== counts.totalItems) this.wrong(`A1: ${JSON.stringify(counts)}, pending ${pending}`);
    const each = keys.reduce((total, key) => total + (this.batcher.state.of(key)?.pending ?? 0), 0);
    if (each !== pending) this.wrong(`pending is ${pending}, of all keys ${each}`);
  }

  /** The items of open batches. */
  open(): Item[] {
    const { state } = this.batcher;
    return state.keys.flatMap((key) => state.of(key)?.batch?.items ?? []);
  }

  wrong(what: string): void {
    this.trace(`WRONG ${what}`);
    if (this.outcome.violations.length < 5) this.outcome.violations.push(what);
  }
}
