import type { BatchServerConfig } from './types.js';
import type { Calls } from './calls.js';
import { type AnyHooks, Chain, type End } from './chain.js';
import { type LoopState, afterTurn } from './debug.js';
import { type Interlude, Interludes } from './interludes.js';
import { SizeLimit } from './limit.js';
import { type AnyOp, type Entry, Mailbox, opOf } from './mailbox.js';
import type { Monitor } from './monitor.js';
import { Rounds } from './rounds.js';
import { isThenable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';

/**
 * The mailbox loop: takes messages at the end of a turn of the event loop, calls the handler, adapts the limit, repeats.
 *
 * Invariants:
 * 1. One hook at a time: `busy` from the call of a hook until its result has been recorded.
 * 2. accepted = handled + failed + dropped + running + mailbox.size.
 * 3. Messages in the mailbox are never forgotten: a round is wanted, a hook runs, or the server is suspended.
 * 4. User code that is called between batches may call any verb; `#turning` makes the turn under way do the work.
 */
export class Loop {
  readonly mailbox: Mailbox;
  readonly chain: Chain;
  readonly limit: SizeLimit;
  readonly rounds: Rounds;
  /** Parts whose invariants are checked after each turn, in simulations only. */
  readonly checked: { check(): void }[];
  /** A hook runs; at first the `init` that has not been called yet. */
  busy = true;
  suspended = false;
  /** Messages in the batch that runs. */
  running = 0;
  /** Set if the number of pending messages is bounded: called after each turn. */
  onRoom: (() => void) | undefined;
  /** Called when a hook failed or asked to stop. */
  onEnd: ((end: End) => void) | undefined;
  /** Set by `close`, and called once when nothing runs and nothing is left to be handled. */
  #onIdle: (() => void) | undefined;
  #closing = false;
  readonly #config: BatchServerConfig;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #monitor: Monitor;
  readonly #interludes = new Interludes();
  readonly #playInterludes = (): void => this.#interludes.play(() => !this.#ended);
  /** Messages below this position may be taken. */
  #ready = 0;
  #turning = false;
  /** A hook failed or asked to stop: no batch follows. */
  #ended = false;
  /** The limit at which the batch that runs was cut. */
  #cutAt = 0;
  #startedAt = 0;
  /** When the last batch ended, by which time a batch of the same turn cannot have started. */
  #settledAt = -Infinity;

  constructor(hooks: AnyHooks, config: BatchServerConfig, clock: Clock, calls: Calls, monitor: Monitor) {
    this.#config = config;
    this.#clock = clock;
    this.#calls = calls;
    this.#monitor = monitor;
    this.mailbox = new Mailbox(config.hardLimit);
    this.chain = new Chain(hooks, config.name, clock);
    this.limit = new SizeLimit(config, (message, error) => monitor.report(message, error));
    this.rounds = new Rounds(clock, this);
    this.checked = [this.mailbox, { check: () => calls.check(this.mailbox.since(this.#ready)) }];
  }

  accept(entry: Entry): void {
    this.mailbox.push(entry);
    if (this.mailbox.taken >= this.#ready) this.rounds.want();
    if (this.#monitor.tracing) this.#monitor.accepted(opOf(entry));
  }

  /** Accepts messages that are to stay in one batch. */
  acceptGroup(entries: readonly Entry[]): void {
    this.mailbox.pushGroup(entries);
    if (this.mailbox.taken >= this.#ready) this.rounds.want();
    // All of them are in the mailbox before a listener can stop the server.
    if (this.#monitor.tracing) for (const entry of entries) this.#monitor.accepted(opOf(entry));
  }

  /** Accepted and not handled. */
  get pending(): number {
    return this.mailbox.size + this.running;
  }

  /** Whether a round would take messages. */
  get takes(): boolean {
    return this.mailbox.size > 0 && !this.busy && !this.suspended;
  }

  /** A round: what was accepted before the end of the turn may be taken. */
  run(now: number): void {
    this.#calls.turnEnded(now, this.#release());
    this.turn(now);
    // After the batches: callers that were answered at once need no timer.
    this.#calls.watch();
    afterTurn(this);
  }

  /** All accepted messages may be taken. Returns a copy, if calls are in it: handlers may change the lists that they get. */
  #release(): Entry[] {
    const released = this.#calls.hasFresh ? this.mailbox.since(this.#ready) : [];
    this.#ready = this.mailbox.accepted;
    return released;
  }

  /** Handles batches until nothing may be taken, a hook returns a promise, or the server is suspended or ends. */
  turn(now: number): void {
    if (this.#turning) return;
    this.#turning = true;
    try {
      while (!this.busy && !this.suspended && this.mailbox.taken < this.#ready) this.#handle(now);
    } finally {
      this.#turning = false;
    }
    this.#afterBatches();
  }

  #handle(startedAt: number): void {
    this.#cutAt = this.limit.size;
    const ops = this.mailbox.take(this.#cutAt);
    if (this.mailbox.taken > this.#ready) this.#calls.keep(ops); // some are of the present turn
    this.busy = true;
    this.running = ops.length;
    this.#startedAt = startedAt;
    if (this.#config.reversedBatch) ops.reverse();
    const end = this.chain.handle(ops);
    if (isThenable(end)) {
      void Promise.resolve(end).then((settled) => {
        this.#step(() => this.#settle(settled));
      });
    } else this.#settle(end);
  }

  /** Runs a step that may call user code, then goes on with the batches that wait. */
  #step(step: () => void): void {
    const outer = this.#turning;
    this.#turning = true;
    try {
      step();
    } finally {
      this.#turning = outer;
    }
    this.turn(this.#clock.now());
    afterTurn(this);
  }

  /** The batch has been handled, its continue chain included. */
  #settle(end: End | undefined): void {
    if (this.chain.over) return; // given up
    const size = this.running;
    const now = this.#clock.now();
    const duration = now - Math.max(this.#startedAt, this.#settledAt);
    this.#settledAt = now;
    this.running = 0;
    this.#monitor.settled(size, this.#cutAt, duration, end?.failed === true);
    this.limit.adapt(size, size >= this.#cutAt, duration);
    this.#hookEnded(end);
  }

  /** No hook runs any more: the server ends, or interludes are due. */
  #hookEnded(end: End | undefined): void {
    this.busy = false;
    if (end === undefined) this.#playInterludes();
    else {
      this.#ended = true;
      this.onEnd?.(end);
    }
  }

  /** `init` has ended, its continue chain included. */
  begin(end: End | undefined): void {
    if (this.chain.over) return; // given up
    this.#step(() => this.#hookEnded(end));
  }

  #afterBatches(): void {
    this.onRoom?.();
    if (this.busy) return;
    if (this.mailbox.size > 0 && this.mailbox.taken >= this.#ready && !this.suspended) this.rounds.want();
    this.chain.collectGarbage();
    if (this.#onIdle !== undefined && this.mailbox.size === 0) {
      this.#onIdle();
      this.#onIdle = undefined;
    }
  }

  /** Runs the interlude now, or when the hook that runs has ended. */
  between(interlude: Interlude): void {
    this.#interludes.add(interlude);
    if (!this.busy) this.#step(this.#playInterludes);
  }

  /** Takes no messages until `resume` or `close`. */
  suspend(): void {
    this.suspended = !this.#closing;
  }

  resume(): void {
    this.suspended = false;
    this.rounds.want();
  }

  /** Handles what was accepted, then calls `onIdle`, once. */
  close(onIdle: () => void): void {
    this.#onIdle = onIdle;
    this.#closing = true;
    this.suspended = false;
    this.#calls.keep(this.#release());
    this.turn(this.#clock.now());
  }

  /** Empties the mailbox. The callers of what was in there wait for their timeouts, or the end. */
  drop(): AnyOp[] {
    this.#calls.keep(this.#release());
    return this.mailbox.take(Infinity);
  }

  /** Ignores the result of the hook that runs, and says whether one does. */
  abandon(): boolean {
    const { busy } = this;
    this.#monitor.counts.failed += this.running;
    this.running = 0;
    this.busy = false;
    this.#ended = true;
    this.chain.over = true;
    this.#afterBatches();
    return busy;
  }

  /** Nothing more happens: fails the interludes and the callers that still wait. */
  rest(error: unknown): void {
    this.chain.over = true;
    this.#interludes.failAll(error);
    this.rounds.rest();
    this.#calls.failAll(error);
  }

  /** The numbers that the invariants are about. */
  debugState(): LoopState {
    const { busy, suspended, running } = this;
    const { accepted, taken, size } = this.mailbox;
    const parts = { over: this.chain.over, wanted: this.rounds.wanted };
    const counts = { ...this.#monitor.counts, ...this.#calls.counts };
    return { accepted, taken, size, running, busy, suspended, ...parts, ...counts };
  }
}
