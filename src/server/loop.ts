import type { BatchServerConfig, BatchServerHooks, Next, TraceEvent } from './types.js';
import { SizeLimit } from './limit.js';
import { type AnyOp, type Entry, type Mailbox, opOf } from './mailbox.js';
import { checkNext } from './next.js';
import { MissingHookError, OverflowError } from '../errors.js';
import { Events, warn } from '../events.js';
import { type Awaitable, isThenable } from '../core/promise.js';
import { type Clock, endOfTurn } from '../core/clock.js';
import type { Chore, Flight, Stage, Verdict, Workload } from '../core/flight.js';
import { Tally } from './histogram.js';

export type AnyHooks = BatchServerHooks<unknown, unknown, unknown, unknown, unknown>;
export type AnyTrace = TraceEvent<unknown, unknown, unknown, unknown>;

/** Messages that gathered; or a task that occupies the server instead, so that messages gather meanwhile. */
export interface Batch {
  ops: AnyOp[];
  task: (() => Awaitable<void>) | undefined;
  /** The task is only to hold others back. */
  pause: boolean;
}

/** Something to be done while no hook runs. */
interface Interlude {
  run: () => void;
  fail: (error: unknown) => void;
}

/** After so many links a continue chain lets the event loop turn, so that an endless one starves nobody else. */
const LINKS_PER_TURN = 100;

/** The engine's port to the hooks of a batch server: gathers, handles, follows continue chains, counts and traces. */
export class Loop implements Workload<Entry, Batch, void> {
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
  readonly gathering: Mailbox;
  readonly size: SizeLimit;
  readonly #server: AnyHooks;
  readonly #config: BatchServerConfig;
  readonly #clock: Clock;
  readonly #interludes: Interlude[] = [];
  /** When the last batch ended: one that follows in the same turn began then. */
  #endedAt = -Infinity;
  #collects = false;
  #failed = false;
  #stopping = false;
  readonly #warned = new Set<string>();

  constructor(server: AnyHooks, config: BatchServerConfig, clock: Clock, mailbox: Mailbox) {
    this.#server = server;
    this.#config = config;
    this.#clock = clock;
    this.gathering = mailbox;
    this.size = new SizeLimit(config, (message, error) => {
      this.report(message, error);
    });
    this.gathering = mailbox;
  }

  // Gathering

  open(): Batch {
    return { ops: [], task: undefined, pause: false };
  }

  add(batch: Batch, entry: Entry): undefined {
    batch.ops.push(opOf(entry));
  }

  /** What has gathered comes in an array that nobody else keeps. */
  addAll(batch: Batch, entries: readonly Entry[]): undefined {
    const ops = entries as AnyOp[];
    for (let i = 0; i < ops.length; i++) ops[i] = opOf(entries[i]);
    batch.ops = ops;
  }

  /** Whatever could be taken makes a batch. */
  due(): boolean {
    return true;
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
    if (next !== undefined) return this.#follow(next, 'handleBatch', 0);
    this.finish();
    return undefined;
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
    if (next !== undefined) return this.#follow(next, 'handleContinue', links);
    this.finish();
    return undefined;
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
    if (next.stop !== undefined) this.#stop(next.stop, false);
    else if (term !== undefined) return this.continue(term, links);
    else this.finish();
    return undefined;
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
    this.#stop(error, true);
  }

  #stop(reason: unknown, failed: boolean): void {
    // Nobody gets in between this and terminate.
    this.#stopping = true;
    this.busy = false;
    this.onEnd?.(reason, failed);
  }

  /** No hook runs any more. */
  finish(): void {
    this.busy = false;
    this.#playInterludes();
  }

  // Between batches

  /** Now, or when the hook that runs has ended. */
  between(interlude: Interlude): void {
    this.#interludes.push(interlude);
    if (!this.busy) this.#playInterludes();
  }

  #playInterludes(): void {
    if (this.#stopping) return;
    for (let next = this.#interludes.shift(); next !== undefined; next = this.#interludes.shift()) next.run();
  }

  failInterludes(error: unknown): void {
    for (const { fail } of this.#interludes.splice(0)) fail(error);
  }

  // Facts

  delivered(flight: Flight<Batch>): undefined {
    if (flight.batch.task !== undefined) return;
    const { size } = flight;
    const now = this.#clock.now();
    const duration = now - Math.max(flight.startedAt, this.#endedAt);
    this.#endedAt = now;
    if (this.#failed) this.counts.failed += size;
    else this.counts.handled += size;
    this.sizes.record(size);
    this.durations.record(duration);
    const limit = this.size.limits.size;
    this.size.adapt(size, flight.reason === 'size', duration);
    if (this.tracing) this.trace({ type: 'batch', name: this.#config.name, size, limit, duration });
  }

  /** It will never be handled: the server stops, or newer ones take its place. */
  refused(entry: Entry, error: unknown, stage: Stage): Error {
    const op = opOf(entry);
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

  trace(event: AnyTrace): void {
    this.traced.emit('trace', event);
  }

  /** A failure that nobody else is told of, once per kind. */
  report(message: string, error: unknown): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    warn('BATCH_UNHEARD', `${this.#config.name}: ${message}`, error);
  }
}
