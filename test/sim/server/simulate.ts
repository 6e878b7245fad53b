import {
  BatchServer,
  OverflowError,
  RequestCollection,
  TimeoutError,
  type BatchServerOptions,
  type MailboxSummary,
  type Next,
  type Op,
} from 'batch-please';
import { TestClock, random, type Random } from 'batch-please/testing';
import { checkAfterTurns } from '../../../src/server/debug.js';

type SimOp = Op<number, number, number>;

/** What a naive server would know: messages in the order of their acceptance, each with its fate. */
interface Model {
  /** Accepted, not handled. */
  queue: number[];
  limit: number;
  state: number;
}

export interface Outcome {
  violations: string[];
  batches: number;
  promises: number;
}

class Crash extends Error {}

/** Every promise that was handed out, and whether it is settled. */
class Promises {
  readonly open = new Map<number, { what: string; deadline: number }>();
  count = 0;
  readonly #clock: TestClock;
  readonly #complain: (what: string) => void;

  constructor(clock: TestClock, complain: (what: string) => void) {
    this.#clock = clock;
    this.#complain = complain;
  }

  /** With a timeout it must not give up earlier, nor be open later than the grace after it. */
  watch(what: string, promise: Promise<unknown>, timeout = Infinity, grace = 0): void {
    const number = this.count++;
    const deadline = this.#clock.now() + timeout;
    this.open.set(number, { what, deadline: deadline + grace });
    const done = (): void => void this.open.delete(number);
    const settle = (late: boolean): void => {
      done();
      if (late && this.#clock.now() < deadline) this.#complain(`a timeout of ${what} came too early`);
    };
    promise.then(
      (answer) => {
        settle((answer as { kind?: unknown } | undefined)?.kind === 'timeout');
      },
      (error: unknown) => {
        settle(error instanceof TimeoutError);
      },
    );
  }

  /** After the clock has moved. */
  look(): void {
    for (const { what, deadline } of this.open.values()) {
      if (deadline < this.#clock.now()) this.#complain(`${what} waits beyond its timeout`);
    }
  }
}

/** How a hook behaves this time. */
type Mood = 'sync' | 'async' | 'slow' | 'throw' | 'reject' | 'shape' | 'stop' | 'hang';

class Simulated extends BatchServer<number, number, number, number> {
  rng!: Random;
  clock!: TestClock;
  crashes = 0;
  violations: string[] = [];
  model!: Model;
  handled: number[] = [];
  kept: ((value: number) => void)[] = [];
  running = 0;
  terminated = 0;
  stateGiven: unknown;
  hangs = false;
  growth: 'exponential' | 'aimd' = 'exponential';
  hardLimit = false;
  reversed = false;
  least = 1;

  complain(what: string): void {
    this.violations.push(what);
  }

  mood(): Mood {
    if (this.rng.chance(this.crashes)) return this.rng.pick(['throw', 'reject', 'shape', 'stop', 'hang'] as const);
    return this.rng.pick(['sync', 'sync', 'async', 'slow'] as const);
  }

  /** The answer of a hook in that mood. */
  #answer(mood: Mood, next: Next<number>, commit: () => void): Next<number> | Promise<Next<number>> {
    const done = (): Next<number> => {
      this.running--;
      commit();
      return next;
    };
    switch (mood) {
      case 'throw':
        this.running--;
        throw new Crash(mood);
      case 'reject':
        this.running--;
        return Promise.reject(new Crash(mood));
      case 'shape':
        this.running--;
        return { odd: true } as never;
      case 'stop':
        this.running--;
        commit();
        return { ...next, stop: 'asked' };
      case 'hang':
        this.hangs = true;
        return new Promise(() => undefined);
      case 'async':
        return Promise.resolve().then(done);
      case 'slow':
        return new Promise((resolve) => {
          this.clock.setTimer(
            () => {
              resolve(done());
            },
            1 + this.rng.int(20),
          );
        });
      default:
        return done();
    }
  }

  #enter(hook: string): void {
    if (++this.running > 1) this.complain(`${hook} while another hook runs`);
    if (this.terminated > 0) this.complain(`${hook} after terminate`);
  }

  init(setUp: (server: Simulated) => void): Next<number> | Promise<Next<number>> {
    setUp(this);
    this.#enter('init');
    const chain = this.rng.chance(0.3) ? { continue: this.rng.int(4) } : {};
    return this.#answer(this.mood(), { state: 0, ...chain }, () => undefined);
  }

  handleBatch(ops: readonly SimOp[], state: number): Next<number> | Promise<Next<number>> {
    this.#enter('handleBatch');
    const { model } = this;
    if (state !== model.state) this.complain(`handleBatch saw state ${state} in place of ${model.state}`);
    const values = ops.map((op) => (op.kind === 'call' ? op.request : Number(op.message)));
    if (this.reversed) values.reverse();
    const expected = model.queue.splice(0, values.length);
    if (values.join() !== expected.join()) this.complain(`handled ${values.join()} in place of ${expected.join()}`);
    const full = values.length >= model.limit;
    if (values.length > model.limit + (this.hardLimit ? 0 : 9))
      this.complain(`a batch of ${values.length} above the limit of ${model.limit}`);
    const grown = this.growth === 'aimd' ? model.limit + 3 : model.limit * 2;
    const mood = this.mood();
    for (const op of ops) {
      if (op.kind !== 'call') continue;
      if (this.rng.chance(0.6)) op.reply(op.request * 2);
      else if (this.rng.chance(0.3)) op.fail(new Crash('refused'));
      else this.kept.push(op.reply);
    }
    if (this.rng.chance(0.2)) this.kept.shift()?.(-1);
    const sum = state + values.reduce((a, b) => a + b, 0);
    const chain = this.rng.chance(0.15) ? { continue: this.rng.int(4) } : {};
    return this.#answer(mood, { state: sum, ...chain }, () => {
      model.state = sum;
      model.limit = Math.min(64, full ? grown : Math.max(this.least, Math.floor(model.limit / 2)));
      this.handled.push(...values);
    });
  }

  override handleContinue(term: number, state: number): Next<number> | Promise<Next<number>> {
    this.#enter('handleContinue');
    if (state !== this.model.state) this.complain(`handleContinue saw state ${state} in place of ${this.model.state}`);
    const next = { state: state + 1, ...(term > 0 && { continue: term - 1 }) };
    return this.#answer(this.mood(), next, () => (this.model.state = state + 1));
  }

  override terminate(_reason: unknown, state: number, summary?: MailboxSummary<SimOp>): void | Promise<void> {
    this.terminated++;
    if (this.running > 0 && !this.late && !this.hangs) this.complain('terminate while a hook runs');
    this.stateGiven = state;
    if (state !== this.model.state) this.complain(`terminate saw state ${state} in place of ${this.model.state}`);
    if (summary === undefined || summary.total !== this.model.queue.length) {
      this.complain(`a summary of ${summary?.total} in place of ${this.model.queue.length}`);
    }
    if (this.rng.chance(0.1)) throw new Crash('terminate');
    if (this.rng.chance(0.1)) return new Promise(() => undefined);
    return this.rng.chance(0.3) ? Promise.reject(new Crash('terminate')) : undefined;
  }

  override formatStatus(state: number): number {
    if (this.rng.chance(0.3)) throw new Crash('formatStatus');
    return state;
  }

  /** A stop whose time was up. */
  late = false;
}

/** One seed decides everything: options, senders, hooks and clock. */
export async function simulateServer(seed: number): Promise<Outcome> {
  const rng = random(seed);
  const clock = new TestClock();
  const growth = rng.pick(['exponential', 'aimd'] as const);
  const minBatchSize = 2 + rng.int(6);
  const options: BatchServerOptions = {
    clock,
    minBatchSize,
    maxBatchSize: 64,
    batchSizeGrowth: growth === 'aimd' ? { aimd: 3 } : growth,
    flushMailboxOnTerminate: { summaryCount: 3 },
    hardLimit: rng.chance(0.2),
    reversedBatch: rng.chance(0.2),
    ...(rng.chance(0.3) && {
      maxPending: 20 + rng.int(30),
      overflow: rng.pick(['wait', 'reject', 'dropNewest', 'dropOldest'] as const),
    }),
  };
  const model: Model = { queue: [], limit: minBatchSize, state: 0 };
  const violations: string[] = [];
  const promises = new Promises(clock, (what) => violations.push(what));
  let server: Simulated | undefined;
  /** How many were dropped for newer ones. */
  let overflowed = 0;
  checkAfterTurns((violation) => violations.push(violation.message));
  const start = Simulated.start((made: Simulated) => {
    server = made;
    Object.assign(made, {
      rng,
      clock,
      crashes: rng.pick([0, 0, 0.02, 0.1]),
      model,
      violations,
      growth,
      least: minBatchSize,
      hardLimit: options.hardLimit,
      reversed: options.reversedBatch,
    });
    // The order of acceptance, and nothing else, is what the model believes.
    made.on('stopped', () => undefined);
    made.on('refused', ({ error }) => {
      if (options.overflow !== 'dropOldest' || !(error instanceof OverflowError)) return;
      // The oldest went.
      const { dropped } = made.sys.statistics();
      model.queue.splice(0, dropped - overflowed);
      overflowed = dropped;
    });
    made.sys.trace((event) => {
      if (event.type === 'in') model.queue.push(event.op.kind === 'call' ? event.op.request : Number(event.op.message));
      if (rng.chance(0.01)) throw new Crash('trace');
    });
    for (let i = rng.int(3); i > 0; i--) made.cast(1000 + i);
  }, options);
  promises.watch('start', start);
  await clock.advance(rng.int(30));
  let next = 0;
  const collection = new RequestCollection<number, number>();
  const steps = 20 + rng.int(60);
  for (let step = 0; step < steps && server !== undefined; step++) {
    const made = server;
    const timeout = rng.pick([0, 1, 10, 100, Infinity]);
    switch (rng.int(12)) {
      case 0:
      case 1:
      case 2:
        for (let i = rng.int(30); i > 0; i--) made.cast(next++);
        break;
      case 3:
        made.castBatch(Array.from({ length: rng.int(9) }, () => next++));
        break;
      case 4:
        made.info(next++);
        break;
      case 5:
      case 6:
        for (let i = rng.int(5); i > 0; i--) promises.watch('call', made.call(next++, { timeout }), timeout);
        break;
      case 7: {
        const id = made.sendRequest(next++);
        if (rng.chance(0.5)) promises.watch('wait', id.wait(timeout), timeout);
        if (rng.chance(0.3)) promises.watch('receive', id.receive(timeout), timeout);
        collection.add(id, step);
        if (rng.chance(0.3))
          promises.watch('collection', collection.wait(timeout, { delete: rng.chance(0.8) }), timeout);
        break;
      }
      case 8:
        promises.watch('suspend', made.sys.suspend());
        break;
      case 9:
        made.sys.resume();
        break;
      case 10:
        made.sys.getStatus();
        promises.watch(
          'replace',
          made.sys.replaceState((state) => {
            if (rng.chance(0.2)) throw new Crash('replace');
            model.state = state + 1000;
            return state + 1000;
          }),
        );
        break;
      default: {
        const controller = new AbortController();
        promises.watch('call with signal', made.call(next++, { signal: controller.signal }), 5000);
        if (rng.chance(0.5)) controller.abort(new Crash('abort'));
      }
    }
    if (rng.chance(0.5)) await clock.advance(rng.int(15));
    promises.look();
  }
  if (server === undefined) return { violations: ['init was never called'], batches: 0, promises: 0 };
  const made = server;
  const timeout = made.hangs || rng.chance(0.3) ? rng.int(50) : undefined;
  made.late = timeout !== undefined;
  const patience = timeout ?? (rng.chance(0.5) ? undefined : 100_000);
  const stop = made.stop('end', { pending: rng.pick(['drain', 'reject'] as const), timeout: patience });
  promises.watch('stop', stop, patience, 1000); // for terminate
  promises.watch('ended', made.ended);
  // A hook may begin to hang only while it drains.
  for (let i = 0; i < 5 && promises.open.size > 0; i++) {
    await clock.advance(100_000);
    promises.look();
  }
  if (!made.hangs || timeout !== undefined) {
    for (const { what } of promises.open.values()) violations.push(`a promise of ${what} is not settled`);
    if (made.status !== 'stopped') violations.push(`it is ${made.status}`);
    if (made.terminated > 1) violations.push('terminate was called twice');
    const { handled, failed, dropped, pending, accepted: all } = made.sys.statistics();
    if (handled + failed + dropped !== all || pending !== 0)
      violations.push(`${handled} + ${failed} + ${dropped} of ${all}`);
    if (dropped !== overflowed + model.queue.length) {
      violations.push(`${dropped} dropped in place of ${overflowed} + ${model.queue.length}`);
    }
    if (made.sys.statistics().unanswered !== 0) violations.push('somebody still waits');
    if (made.cast(0)) violations.push('a cast was accepted after the end');
    if (clock.pendingTimers > 0 && !made.hangs && !made.late)
      violations.push(`${clock.pendingTimers} timers are armed`);
  }
  return { violations, batches: made.sys.statistics().batches, promises: promises.count };
}
