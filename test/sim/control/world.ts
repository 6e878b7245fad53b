import { BatchPlease, type BatchPleaseEvents, type BatchPleaseState } from 'batch-please';
import { TestClock, type Random } from 'batch-please/testing';
import { checkEnd } from './end.js';
import { Hooks } from './hooks.js';
import { optionsOf, type Limits, type Plan } from './plan.js';
import type { Batch, Fate, Item, State } from './records.js';
import { Workload } from './workload.js';

type Events = BatchPleaseEvents<number, State>;

/**
 * One run of the verbs that control delivery: failing in part, splitting, taking back, pausing, changing limits. The
 * model follows every item from owner to owner; when exactly a batch goes is the business of the other simulation.
 */
export class World {
  readonly violations: string[] = [];
  readonly clock = new TestClock();
  readonly items: Item[] = [];
  readonly batches = new Map<string, Batch>();
  readonly workload = new Workload(this);
  readonly hooks = new Hooks(this);
  readonly batcher: BatchPlease<number, State>;
  limits: Limits;
  calm = false;
  paused = false;
  /** Taken over by `batchDeadLetter` in time. */
  readonly buried = new Set<number>();
  closing: { at: number; flush: boolean; timeout: number; outcome: string; error: unknown } | undefined;
  /** When `flush()` was last called with `hurry`; when anything was given up. */
  hurriedAt = -1;
  givenUpAt = -1;
  /** Calls of `flush()` with `hurry` so far. */
  hurries = 0;
  /** `configure` was called: limits of the past may still show. */
  configured = false;
  #depth = 0;

  constructor(
    readonly plan: Plan,
    readonly random: Random,
    readonly trace: ((line: string) => void) | undefined,
  ) {
    this.limits = plan;
    const none = (value: number): number | null => (value === Infinity ? null : value);
    this.batcher = new (class Controlled extends BatchPlease<number, State> {})({
      ...optionsOf(plan, plan.delays ? this.hooks.delay : undefined),
      ...{ clock: this.clock, unref: true, overflow: plan.overflow },
      ...{ maxTimeSinceFirstItem: none(plan.age), maxTimeSinceLastItem: none(plan.idle) },
      ...this.hooks.options(),
    });
    this.#listen();
  }

  get now(): number {
    return this.clock.now();
  }

  note(text: string): void {
    this.trace?.(`${this.now.toFixed(2).padStart(8)}  ${text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}-/g, '#')}`);
  }

  bad(text: string): void {
    this.violations.push(`at ${this.now}: ${text}`);
    this.note(`!! ${text}`);
  }

  item(id: number): Item {
    const item = this.items[id];
    if (item === undefined) throw new Error(`no item ${String(id)}`);
    return item;
  }

  /** The item changes its owner; only the batcher's own may do so. */
  move(id: number, fate: Fate): void {
    const item = this.item(id);
    const owned = item.fate === 'pending' || item.fate === 'called' || item.fate === 'waiting';
    if (!owned) this.bad(`A12: item ${id} is ${fate}, it was ${item.fate}`);
    item.fate = fate;
  }

  /** The batch leaves: nothing of it may be seen again. */
  end(batch: Batch | undefined): void {
    if (batch === undefined) return;
    batch.ended = true;
    batch.running = false;
  }

  async run(): Promise<void> {
    const { random, plan, clock } = this;
    for (let step = 0; step < plan.steps && this.violations.length === 0; step++) {
      this.workload.step();
      if (!random.chance(0.8)) continue;
      await clock.advance(random.chance(0.3) ? 0 : random.int(random.chance(0.8) ? 30 : 300));
      this.check();
    }
    if (plan.calm && this.violations.length === 0) await this.#settle();
    if (this.violations.length === 0) await this.#close();
  }

  /** The sink works: everything is delivered or has been given up. */
  async #settle(): Promise<void> {
    this.note('-- from here on the sink works');
    this.calm = true;
    this.workload.resume();
    for (let i = 0; i < 6; i++) {
      await this.clock.advance(200);
      this.workload.flush(true);
    }
    await this.clock.advance(500);
    this.check();
    if (this.closing !== undefined) return;
    const pending = this.items.filter(({ fate }) => fate === 'pending' || fate === 'waiting');
    if (pending.length > 0) this.bad(`A2: item ${pending[0]?.id ?? ''} stays pending although the sink works`);
  }

  async #close(): Promise<void> {
    this.workload.close();
    const { closing } = this;
    if (closing === undefined) return;
    await this.clock.advance(closing.timeout + 1100);
    this.check();
    if (this.violations.length === 0) checkEnd(this, closing);
  }

  /** User code runs: the numbers have to be right wherever it looks, and it may call back. */
  enter(from: string): void {
    this.#checkSum(this.batcher.state, from);
    if (this.calm || this.#depth > 1 || !this.random.chance(this.plan.reenter)) return;
    this.#depth++;
    this.note(`  (from ${from})`);
    this.workload.step();
    this.#depth--;
  }

  check(): void {
    const { state } = this.batcher;
    this.#checkSum(state, 'after a step');
    if (this.closing !== undefined) return;
    const really = { delivered: 0, dropped: 0, refused: 0, returned: 0 };
    for (const { fate } of this.items) if (fate in really) really[fate as 'delivered']++;
    const { delivered, dropped, refused, returned } = state.counts;
    const says = { delivered, dropped, refused, returned };
    if (JSON.stringify(says) !== JSON.stringify(really))
      this.bad(`A1: says ${JSON.stringify(says)}, really ${JSON.stringify(really)}`);
    const pending = this.items.filter(({ fate }) => fate === 'pending').length;
    // Of those that wait for room some may have been let in that no hook has seen yet.
    const waiting = this.items.filter(({ fate }) => fate === 'waiting').length;
    if (state.pending < pending || state.pending > pending + waiting)
      this.bad(`A1: says ${state.pending} pending, really ${pending}, and ${waiting} wait`);
    const running = state.batches.filter(({ status }) => status === 'running').length;
    if (running !== state.inFlight.batches) this.bad('state.inFlight and state.batches disagree');
    if (state.waiting !== state.pending - state.inFlight.items) this.bad('state.waiting is wrong');
    if (state.paused !== this.paused) this.bad(`state.paused is ${String(state.paused)}`);
    for (const item of this.items) {
      const settles = item.fate === 'delivered' || item.fate === 'dropped' || item.fate === 'returned';
      if (item.verb === 'deliverItem' && item.outcome === 'pending' && settles)
        this.bad(`A2: deliverItem(${item.id}) waits, it is ${item.fate}`);
    }
  }

  #checkSum({ counts, pending, batches }: BatchPleaseState<number, State>, where: string): void {
    const { totalItems, delivered, refused, dropped, returned } = counts;
    if (totalItems !== delivered + refused + dropped + returned + pending)
      this.bad(`A1 ${where}: ${totalItems} ≠ ${[delivered, refused, dropped, returned, pending].join(' + ')}`);
    const sealed = batches.reduce((sum, { size }) => sum + size, 0);
    if (sealed > pending) this.bad(`${where}: state.batches holds ${sealed} items, ${pending} are pending`);
    for (const { size, status, retryAt } of batches) {
      if (size <= 0) this.bad(`${where}: state.batches holds an empty batch`);
      if ((status === 'retrying') !== (retryAt !== undefined))
        this.bad(`${where}: a batch is ${status}, and has no time`);
    }
  }

  #listen(): void {
    const on = <Name extends keyof Events>(name: Name, listener: (info: Events[Name]) => void): void => {
      this.batcher.on(name, (info) => {
        listener(info);
        this.enter(name);
      });
    };
    on('flushed', (info) => {
      this.#flushed(info);
    });
    on('failed', (info) => {
      if (info.hook === 'batchFlush') this.hooks.failed(info);
    });
    on('held', (info) => {
      this.note(`held ${info.id} (${info.size})`);
      this.givenUpAt = this.now;
      const batch = this.batches.get(info.id);
      if (batch !== undefined) Object.assign(batch, { running: false, held: true, retryAt: Infinity });
    });
    on('dropped', (info) => {
      this.note(`dropped ${info.size} (${info.reason})`);
      this.givenUpAt = this.now;
      const ids = info.batch?.items ?? (info.item === undefined ? [] : [info.item]);
      if (ids.length !== info.size) this.bad(`dropped says ${info.size} items and gives ${ids.length}`);
      for (const id of ids) this.move(id, 'dropped');
      for (const batch of this.batches.values())
        if (!batch.ended && batch.items.some((id) => ids.includes(id))) this.end(batch);
    });
    on('refused', ({ item, error }) => {
      this.note(`refused ${item}: ${error.name}`);
      this.move(item, 'refused');
    });
  }

  #flushed(info: Events['flushed']): void {
    this.note(`flushed ${info.id} (${info.size})`);
    const batch = this.batches.get(info.id);
    const delivered = batch?.delivered ?? [];
    if (batch === undefined || delivered.length !== info.size)
      this.bad(`flushed says ${info.size} items of ${info.id}, the sink took ${delivered.length}`);
    for (const id of delivered) this.move(id, 'delivered');
    if (batch === undefined) return;
    batch.items = batch.items.filter((id) => !delivered.includes(id));
    this.end(batch);
  }
}
