import type { Awaitable, Deferred } from './promise.js';
import { Cut, type Trigger } from './ledger.js';

/** What to do with a batch whose run failed: try again after so many milliseconds, keep it, or give it up. */
export type Verdict = number | 'hold' | 'drop';

/** The port through which the engine reaches a family: the work, the judgement of failures, and the facts to tell. */
export interface Workload<Entry, Batch, Result> {
  /** Makes the state of a new batch. A throw refuses the entry that needed it. */
  open(): Awaitable<Batch>;
  /** Returns nothing, or the batch's next state. A throw refuses the entry alone. */
  add(batch: Batch, entry: Entry): Awaitable<Batch | undefined>;
  /** Instead of `add`: adds what has gathered, in order. An error in a slot refuses that entry, a throw all of them. */
  addAll?: ((batch: Batch, entries: readonly Entry[]) => Awaitable<readonly unknown[] | undefined>) | undefined;
  gathering?: Gathering | undefined;
  /** Asked before an entry is added, when batches have a weight. A throw refuses the entry. */
  weigh?: ((entry: Entry) => number) | undefined;
  /** Asked before and after each add: is the open batch due? Must not throw. */
  due?: (() => boolean) | undefined;
  run(flight: Flight<Batch>): Awaitable<Result>;
  /** Of an attempt, or of the chore after it. Must not throw, as none of those below. */
  judge(flight: Flight<Batch>, error: unknown): Verdict;

  /** An entry will never join: its hook failed (`stage` says which), or the engine has closed. */
  refused(entry: Entry, error: unknown, stage: Stage, position: number): Error;
  /** What a run is called in the error of one that takes too long; a flush by default. */
  readonly work?: string | undefined;
  /** Delivered: what is to be done after it, if anything; that is tried again by itself. */
  delivered(flight: Flight<Batch>, result: Result, now: number): Chore | undefined;
  /** Will be tried again at `retryAt`; `Infinity`: the work after a flush is given up. */
  failed(flight: Flight<Batch>, error: unknown, retryAt: number): void;
  /** Kept after its last attempt; the error is for those who wait for it. */
  held(flight: Flight<Batch>, error: unknown): Error;
  /** Given up; the error is for those who wait for it. */
  dropped(flight: Flight<Batch>, error: unknown, why: 'overflow' | 'giveUp'): { error: Error; chore?: Chore };
  /** Nothing is pending any more. */
  drained(): void;
  /** Room may have come free. */
  settled(): void;
}

/** How entries gather before they are added in one go. */
export interface Gathering {
  /** A group is never larger, and this many do not wait for more. */
  most: number;
  /** Whether they wait for an idle lane, so that the size limit in force is the one of the moment. */
  whenIdle: boolean;
  /** Asked for when an entry waits that may not be taken yet; when it calls back, whatever waits by then may be. */
  soon: (take: () => void) => void;
  /** Where a group ends that would end at `to`, if that would tear apart what belongs together. */
  endOfGroup?: ((to: number) => number) | undefined;
}

/** Where an entry was refused. */
export type Stage = 'weigh' | 'open' | 'add' | 'closed';

export type Chore = () => Awaitable<unknown>;

/** A sealed batch on its way: its numbers, its state, and who waits for it. */
export class Flight<Batch> extends Cut {
  /** Set once the batch is delivered or given up, if work follows. */
  chore: Chore | undefined;
  /** Why the last attempt failed. */
  failure: unknown;
  /** Set when the batch was given up. */
  refusal: Error | undefined;
  #controller: AbortController | undefined;
  /** Why runs were aborted. */
  #aborted: Map<number, unknown> | undefined;

  constructor(
    readonly batch: Batch,
    /** Set when somebody waits for it. */
    readonly outcome: Deferred | undefined,
  ) {
    super();
  }

  /** Aborts when the run expires or the engine gives up; made only for those who look. */
  signalOf(run: number): AbortSignal {
    if (this.#aborted?.has(run) === true) return AbortSignal.abort(this.#aborted.get(run));
    if (run <= this.ended) return new AbortController().signal;
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** The present run has answered, or is aborted for a reason. */
  end(aborted?: unknown): void {
    if (aborted !== undefined) {
      this.#aborted ??= new Map();
      this.#aborted.set(this.begun, aborted);
      this.#controller?.abort(aborted);
    }
    this.#controller = undefined;
  }
}

/**
 * Of one run: what a hook or handler is told. The signal is made only for those who look, by a getter of the class: one in
 * an object literal gives each object a hidden class of its own, which outlives it and its batch.
 */
export class RunContext {
  /** The trigger that cut the batch, the same in every attempt. */
  readonly reason: Trigger;
  /** From 1. */
  readonly attempt: number;
  readonly weight: number;
  readonly #flight: Flight<unknown>;
  readonly #run: number;

  constructor(
    flight: Flight<unknown>,
    readonly size: number,
  ) {
    this.reason = flight.reason;
    this.attempt = flight.attempt;
    this.weight = flight.weight;
    this.#flight = flight;
    this.#run = flight.begun;
  }

  /** Aborts when the run expires, and when it is given up. */
  get signal(): AbortSignal {
    return this.#flight.signalOf(this.#run);
  }
}
