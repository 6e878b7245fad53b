import type { Calls } from './batch-server-calls.js';
import type { BatchServerConfig, BatchServerHooks, Next, Op, TraceEvent } from './batch-server-contract.js';
import { checkNext } from './batch-server-next.js';
import { MissingHookError, OverflowError } from './errors.js';
import { Events, warn } from './events.js';
import { type Awaitable, isThenable } from './kernel/awaitable.js';
import { type Clock, endOfTurn } from './kernel/clock.js';
import { Fifo } from './kernel/fifo.js';
import type { Chore, Flight, Gathering, Stage, Verdict, Workload } from './kernel/flight.js';
import { type Growth, aimd, exponential, fixed, latency } from './kernel/growth.js';
import type { Limits } from './kernel/ledger.js';
import { Tally } from './kernel/tally.js';

/** Inside, messages are of any type; the public class gives them theirs. */
export type AnyOp = Op<unknown, unknown, unknown>;
export type AnyHooks = BatchServerHooks<unknown, unknown, unknown, unknown, unknown>;
export type AnyTrace = TraceEvent<unknown, unknown, unknown, unknown>;

/** Messages that gathered; or a task that occupies the server instead, so that messages gather meanwhile. */
export interface Batch {
  ops: AnyOp[];
  task: (() => Awaitable<void>) | undefined;
}

/** Something to be done while no hook runs. */
interface Interlude {
  run: () => void;
  fail: (error: unknown) => void;
}

/** After so many links a continue chain lets the event loop turn, so that an endless one starves nobody else. */
const LINKS_PER_TURN = 100;

/** The engine's port to the hooks of a batch server: gathers, handles, follows continue chains, counts and traces. */
export class Loop implements Workload<AnyOp, Batch, void> {
  state: unknown;
  /** A hook runs, or is about to. */
  busy = true;
  /** The server has given up: what a hook still answers counts no more. */
  over = false;
  /** Whether anybody listens to `traced`. */
  tracing = false;
  readonly counts = { handled: 0, failed: 0, dropped: 0, refused: 0 };
  readonly sizes = new Tally(1);
  /** Told apart down to a microsecond. */
  readonly durations = new Tally(0.001);
  readonly left: { total: number; messages: AnyOp[] } = { total: 0, messages: [] };
  readonly traced = new Events<{ trace: AnyTrace }>();
  /** Room may have come free. */
  admit: (() => void) | undefined;
  /** A hook has failed, or asked to stop. */
  onEnd: ((reason: unknown, failed: boolean) => void) | undefined;
  readonly gathering: Gathering;
  readonly limits: Limits;
  readonly #server: AnyHooks;
  readonly #config: BatchServerConfig;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #growth: Growth;
  /** With its fraction. */
  #limit: number;
  /** Where each `castBatch` lies in the log. */
  readonly #groups = new Fifo<{ from: number; to: number }>();
  readonly #interludes: Interlude[] = [];
  #take: (() => void) | undefined;
  #callOff: (() => void) | undefined;
  #collects = false;
  #failed = false;
  readonly #warned = new Set<string>();

  constructor(server: AnyHooks, config: BatchServerConfig, clock: Clock, calls: Calls) {
    this.#server = server;
    this.#config = config;
    this.#clock = clock;
    this.#calls = calls;
    const { minBatchSize, maxBatchSize, batchSizeGrowth } = config;
    this.#growth = growthOf(batchSizeGrowth);
    this.#limit = batchSizeGrowth === 'fixed' ? maxBatchSize : minBatchSize;
    const never = Infinity;
    this.limits = {
      size: this.#limit,
      weight: never,
      age: never,
      sinceFlush: never,
      interval: never,
      jitter: 0,
      lanes: 1,
      attempt: never,
      entry: never,
      random: Math.random,
    };
    this.gathering = {
      most: Infinity,
      whenIdle: true,
      soon: (take) => {
        this.#take = take;
        this.awaitEndOfTurn();
      },
      ...(!config.hardLimit && { endOfGroup: (to: number) => this.#endOfGroup(to) }),
    };
  }

  // Gathering

  open(): Batch {
    return { ops: [], task: undefined };
  }

  add(batch: Batch, op: AnyOp): undefined {
    batch.ops.push(op);
  }

  /** The ops have gathered in an array that nobody else keeps. */
  addAll(batch: Batch, ops: readonly AnyOp[]): undefined {
    batch.ops = ops as AnyOp[];
  }

  /** Whatever could be taken makes a batch. */
  due(): boolean {
    return true;
  }

  /** What was accepted from one position to the other is not to be torn apart. */
  group(from: number, to: number): void {
    this.#groups.push({ from, to });
  }

  /** At the end of this turn of the event loop what waits is taken, and the patience of new callers begins. */
  awaitEndOfTurn(): void {
    this.#callOff ??= endOfTurn(this.#clock, this.#onEndOfTurn);
  }

  rest(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  readonly #onEndOfTurn = (): void => {
    this.#callOff = undefined;
    const take = this.#take;
    this.#take = undefined;
    this.#calls.turnEnded(this.#clock.now());
    take?.();
    // Those who were answered at once need no alarm.
    this.#calls.watch();
  };

  #endOfGroup(to: number): number {
    let first = this.#groups.peek();
    while (first !== undefined && first.to < to) {
      this.#groups.shift();
      first = this.#groups.peek();
    }
    return first !== undefined && first.from < to ? first.to : to;
  }

  // Handling

  run({ batch }: Flight<Batch>): Awaitable<void> {
    this.busy = true;
    if (batch.task !== undefined) return batch.task();
    if (this.#config.reversedBatch) batch.ops.reverse();
    let next: unknown;
    try {
      next = this.#server.handleBatch(batch.ops, this.state);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
    return next === undefined ? this.finish() : this.#follow(next, 'handleBatch', 0);
  }

  /** Follows a continue chain, beginning with its first term. */
  continue(term: unknown, links = 0): Awaitable<void> {
    if (this.over) return undefined;
    if ((links + 1) % LINKS_PER_TURN === 0) {
      return new Promise<void>((resolve) => endOfTurn(this.#clock, resolve)).then(() => this.#link(term, links + 1));
    }
    return this.#link(term, links + 1);
  }

  #link(term: unknown, links: number): Awaitable<void> {
    if (this.over) return undefined;
    let next: unknown;
    try {
      if (this.#server.handleContinue === undefined) {
        throw new MissingHookError('handleContinue', this.#config.name, false);
      }
      next = this.#server.handleContinue(term, this.state);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
    return next === undefined ? this.finish() : this.#follow(next, 'handleContinue', links);
  }

  #follow(next: unknown, hook: string, links: number): Awaitable<void> {
    if (!isThenable(next)) return this.#apply(next, hook, links);
    return Promise.resolve(next).then(
      (settled) => this.#apply(settled, hook, links),
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  #apply(given: unknown, hook: string, links: number): Awaitable<void> {
    if (this.over) return undefined;
    if (given === undefined) {
      this.finish();
      return undefined;
    }
    let next: Next<unknown>;
    try {
      next = checkNext(given, hook);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
    const term = this.adopt(next);
    if (next.stop !== undefined) {
      this.onEnd?.(next.stop, false);
      this.finish();
      return undefined;
    }
    return term === undefined ? this.finish() : this.continue(term, links);
  }

  /** Takes over what a hook returned, and says how to go on. */
  adopt({ state, continue: term, garbageCollect }: Next<unknown>): unknown {
    if (state !== undefined) this.state = state;
    if (garbageCollect === true) this.#collects = true;
    return term;
  }

  #fail(error: unknown): void {
    if (this.over) return;
    this.#failed = true;
    this.onEnd?.(error, true);
    this.finish();
  }

  /** No hook runs any more. */
  finish(): undefined {
    this.busy = false;
    this.playInterludes();
  }

  // Between batches

  /** Now, or when the hook that runs has ended. */
  between(interlude: Interlude): void {
    this.#interludes.push(interlude);
    if (!this.busy) this.playInterludes();
  }

  playInterludes(): void {
    for (let next = this.#interludes.shift(); next !== undefined; next = this.#interludes.shift()) next.run();
  }

  failInterludes(error: unknown): void {
    for (const { fail } of this.#interludes.splice(0)) fail(error);
  }

  // Facts

  delivered(flight: Flight<Batch>, _result: undefined, now: number): undefined {
    if (flight.batch.task !== undefined) return;
    const { size } = flight;
    const duration = now - flight.startedAt;
    if (this.#failed) this.counts.failed += size;
    else this.counts.handled += size;
    this.sizes.record(size);
    this.durations.record(duration);
    const limit = this.limits.size;
    this.#grow(size, flight.reason === 'size', duration);
    this.trace({ type: 'batch', name: this.#config.name, size, limit, duration });
  }

  /** It will never be handled: the server stops, or newer ones take its place. */
  refused(op: AnyOp, error: unknown, stage: Stage): Error {
    this.counts.dropped++;
    if (stage !== 'closed' || error instanceof OverflowError) {
      if (op.kind === 'call') op.fail(error);
    } else if (this.left.total++ < (this.#config.summaryCount ?? 0)) this.left.messages.push(op);
    return error as Error; // made by the kernel
  }

  settled(): void {
    this.admit?.();
    if (!this.#collects || this.busy) return;
    this.#collects = false;
    (globalThis as { gc?: () => void }).gc?.();
  }

  drained(): void {
    // Nobody is told.
  }

  // A run never fails: what a hook throws ends the server.

  judge(): Verdict {
    return 'drop';
  }

  failed(): void {
    // Never.
  }

  held(_flight: Flight<Batch>, error: unknown): Error {
    return error as Error;
  }

  dropped(_flight: Flight<Batch>, error: unknown): { error: Error; chore?: Chore } {
    return { error: error as Error };
  }

  /** Costs nothing while nobody listens. */
  trace(event: AnyTrace): void {
    if (this.tracing) this.traced.emit('trace', event);
  }

  /** A failure that nobody else is told of, once per kind. */
  report(message: string, error: unknown): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    warn('BATCH_UNHEARD', `${this.#config.name}: ${message}`, error);
  }

  #grow(size: number, full: boolean, duration: number): void {
    const { minBatchSize: min, maxBatchSize: max } = this.#config;
    let next: unknown;
    try {
      next = this.#growth(this.#limit, { size, full, duration, min, max });
    } catch (error) {
      this.report('batchSizeGrowth threw', error);
      return;
    }
    if (typeof next !== 'number' || Number.isNaN(next)) {
      this.report('batchSizeGrowth returned no number', undefined);
      return;
    }
    this.#limit = Math.min(max, Math.max(min, next));
    this.limits.size = Math.floor(this.#limit);
  }
}

function growthOf(growth: BatchServerConfig['batchSizeGrowth']): Growth {
  if (typeof growth === 'function') return (limit, outcome) => growth(Math.floor(limit), outcome);
  if (growth === 'exponential') return exponential;
  if (growth === 'fixed') return fixed;
  return 'aimd' in growth ? aimd(growth.aimd) : latency(growth.latency);
}
