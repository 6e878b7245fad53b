import { BatchPlease, type BatchPleaseOptions, type Clock } from 'batch-please';
import { TestClock, type Random } from 'batch-please/testing';
import { checkClosed } from './checks/close.js';
import { checkCounts, checkSum } from './checks/counts.js';
import { checkWaiters } from './checks/promises.js';
import { checkAnswered, checkDue, checkTimers } from './checks/timers.js';
import { Hooks } from './hooks.js';
import { Listeners } from './listeners.js';
import { Model } from './model.js';
import type { Feature, Plan } from './plan.js';
import type { State } from './records.js';
import { Workload } from './workload.js';

/** One run: a batcher, hooks that behave as badly as the plan says, and the model that everything is compared with. */
export class World {
  readonly clock = new TestClock();
  readonly model: Model;
  readonly workload = new Workload(this);
  readonly listeners = new Listeners(this);
  readonly batcher: BatchPlease<number, State>;
  /** From here on the hooks behave. */
  calm = false;
  /** How many calls from hooks and listeners are nested. */
  depth = 0;
  #timers = 0;

  constructor(
    readonly plan: Plan,
    readonly random: Random,
    readonly without: ReadonlySet<Feature>,
    trace: ((line: string) => void) | undefined,
  ) {
    this.model = new Model(plan, this.clock, trace);
    this.batcher = new (class Simulated extends BatchPlease<number, State> {})(this.#options());
    this.listeners.listen();
  }

  async run(): Promise<void> {
    const { random, plan, model, clock } = this;
    for (let step = 0; step < plan.steps && model.violations.length === 0; step++) {
      this.workload.step();
      if (!random.chance(0.8)) continue;
      await clock.advance(random.chance(0.3) ? 0 : random.chance(0.8) ? random.int(40) : random.int(400));
      this.#check();
    }
    if (model.violations.length > 0) return;
    if (plan.calm) await this.#end();
    if (model.violations.length === 0) await this.#close();
  }

  /** User code runs: whatever the batcher was doing, its numbers have to be right. */
  enter(from: string): void {
    checkSum(this.model, this.batcher.state, from);
    this.sync();
    this.workload.reenter(from);
  }

  /** Lets the model see who has been accepted. */
  sync(): void {
    this.model.sync(this.batcher.state.counts.totalItems);
  }

  /** The hooks behave from now on: what has been accepted has to be delivered. */
  async #end(): Promise<void> {
    const { model, plan, clock, workload } = this;
    model.note('-- from here on the hooks behave');
    this.calm = true;
    for (let i = 0; i < 4; i++) await this.#advance(150);
    if (model.stuck || model.violations.length > 0 || model.closing !== undefined) return;
    if (plan.age < Infinity && plan.maxPending === Infinity && !this.without.has('heldOverdue')) {
      for (let i = 0; i < 3; i++) {
        workload.add('addItem');
        await this.#advance(500);
      }
      if (model.pending > 0) model.bad(`${model.pending} items stay pending although they are old and the sink works`);
    }
    // Repeated: those who wait for room come after the first.
    for (let i = 0; i < 2 || (model.waiting.length > 0 && i < 200); i++) {
      workload.flush();
      await this.#advance(200);
    }
    if (model.pending > 0) model.bad(`${model.pending} items stay pending after flush() although the sink works`);
    if (model.asks.some((ask) => ask.outcome === 'pending')) model.bad('a flush() does not settle, the sink works');
    await clock.advance(0);
  }

  async #close(): Promise<void> {
    const { model, clock, workload, random } = this;
    workload.close();
    const { closing } = model;
    if (closing === undefined) return;
    for (let i = 0; i < 6 && closing.outcome === 'pending'; i++) {
      await this.#advance(40);
      if (random.chance(0.2)) workload.add();
    }
    await clock.advance(closing.timeout + 1100);
    await this.#advance(0);
    if (model.violations.length === 0) checkClosed(model, closing, this.#timers);
  }

  async #advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.#check();
  }

  #check(): void {
    const { model, batcher } = this;
    if (model.violations.length > 0) return;
    this.sync();
    checkSum(model, batcher.state, 'after a step');
    for (const delivery of model.deliveries.values()) checkAnswered(model, delivery);
    checkCounts(model, batcher.state);
    checkTimers(model, this.#timers);
    if (!model.abandoned) checkDue(model);
    checkWaiters(model);
  }

  #options(): BatchPleaseOptions<number, State> {
    const { plan, random } = this;
    const none = <T>(value: T): T | undefined => ((value as unknown) === Infinity ? undefined : value);
    const { attempts, minDelay, maxDelay, factor, jitter } = plan;
    return {
      clock: this.#countingClock(),
      unref: true,
      maxBatchSize: none(plan.size),
      maxTimeSinceFirstItem: none(plan.age),
      maxTimeSinceLastFlush: none(plan.sinceFlush),
      flushInterval: none(plan.interval),
      flushConcurrency: plan.lanes,
      flushTimeout: none(plan.timeout),
      retry: attempts === 1 && random.chance(0.5) ? false : { attempts, minDelay, maxDelay, factor, jitter },
      giveUp: plan.giveUp,
      maxPending: none(plan.maxPending),
      overflow: plan.overflow,
      highWaterMark: none(plan.highWaterMark),
      ...new Hooks(this).options(),
    };
  }

  /** Counts the timers that are armed, and sees those that are cleared after they have fired. */
  #countingClock(): Clock {
    const { clock, model } = this;
    return {
      now: () => clock.now(),
      setTimer: (fn, ms) => {
        this.#timers++;
        const timer = { handle: undefined as unknown, done: false };
        timer.handle = clock.setTimer(() => {
          this.#timers--;
          timer.done = true;
          fn();
        }, ms);
        return timer;
      },
      clearTimer: (handle) => {
        const timer = handle as { handle: unknown; done: boolean };
        if (timer.done) model.bad('a timer that has fired is cleared');
        timer.done = true;
        this.#timers--;
        clock.clearTimer(timer.handle);
      },
    };
  }
}
