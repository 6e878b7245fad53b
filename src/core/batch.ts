import type { Outcome } from './outcome.js';
import type { Awaitable, Deferred } from './promise.js';
import type { RunContext } from './run-context.js';
import type { Trigger } from './schedule.js';

/** Where a batch is: in the queue, running, waiting for its retry or the next trigger, set aside, or settled. */
export type Status = 'queued' | 'running' | 'retrying' | 'held' | 'aside' | 'settled';

/** The hook after the end of a batch (`batchPostFlush`, `batchDeadLetter`), which is retried by itself. */
export type Work = () => Awaitable<unknown>;

/** A sealed batch, from its cut to its end: the interval `[from, to)` of the log. */
export class Batch<State> {
  /** Given by the family at the first look. */
  id: string | undefined;
  status: Status = 'queued';
  /** Number of the present or last attempt, from 1. */
  attempt = 0;
  startedAt = NaN;
  endedAt = NaN;
  /** How long the present attempt may take. */
  limit = Infinity;
  /**
   * When the first attempt began; -Infinity before it. An integer here (or above) would be stored in another way than the
   * time that replaces it, and V8 would then convert every batch that waits, at 10 µs each.
   */
  firstStartedAt = -Infinity;
  /** Runs begun and ended. A run that answers after it has ended is ignored. */
  begun = 0;
  ended = 0;
  /** The executor slot it occupies; -1 for none. */
  lane = -1;
  /** Running: when the run expires. Waiting: when the next attempt begins. */
  wakeAt = Infinity;
  /** When its retry is due by the schedule, while a hurried attempt runs before that. */
  dueAt = Infinity;
  /** The user has set the delay: `hurry` does not cut it short. */
  delaySet = false;
  /** The present wait has had its extra attempt. */
  hurried = false;
  /** The present attempt is an extra one: it uses up none of `retry.attempts`. */
  extra = false;
  /** Held: how many triggers had fired by then. */
  heldAt = Infinity;
  /** Held: the error of the `flush()` calls that cover it. */
  heldBy: Error | undefined;
  /** Why the last attempt failed. */
  failure: unknown;
  /** Set for a part that is given up as soon as it has a lane. */
  decided: { error: unknown; action: 'hold' | 'aside' | 'drop' } | undefined;
  /** Set once the batch is delivered or given up, if work follows. */
  work: Work | undefined;
  /** Why it was given up. */
  refusal: Error | undefined;
  /** Entries of the batch that was first split into this one; 0 if it was not split. */
  splitFrom = 0;
  /** Parts that were split off, for their ids. */
  parts = 0;
  /** A single entry that is suspected: how many deliveries there had been when it failed; -1 if it is not. */
  suspectedAt = -1;
  /** The context of the present run, once user code has read it. */
  context: RunContext | undefined;
  /** Neighbours in the order of the log. */
  previous: Batch<State> | undefined;
  next: Batch<State> | undefined;

  constructor(
    public state: State,
    readonly from: number,
    readonly to: number,
    /** Entries; less than `to - from` if some of the interval were refused or taken out. */
    public size: number,
    public weight: number,
    readonly reason: Trigger,
    /** Callers that wait for the delivery of their entry. */
    public outcome: Outcome | undefined,
    /** Callers that wait until a lane is free for this batch and another. */
    readonly pace: Deferred | undefined,
  ) {}

  get running(): boolean {
    return this.begun > this.ended;
  }

  /** Runs, or its run has ended and a hook decides what becomes of it: nothing else may end it. */
  get inFlight(): boolean {
    return this.status === 'running';
  }

  /** Takes the entries at these places out, as a batch of their own; `state` holds them. `named`: by the family. */
  split(state: State, indexes: readonly number[], named: boolean): Batch<State> {
    const sorted = [...indexes].sort((a, b) => a - b);
    const places = new Map(sorted.map((index, place) => [index, place]));
    const weight = this.size === 0 ? 0 : (this.weight * indexes.length) / this.size;
    const outcomes = this.outcome?.split((place) => {
      const moved = places.get(place);
      return moved === undefined ? place - countBelow(sorted, place) : -1 - moved;
    });
    const outcome = outcomes?.taken;
    this.outcome = outcomes?.left;
    const part = new Batch<State>(state, this.from, this.to, indexes.length, weight, this.reason, outcome, undefined);
    part.attempt = this.attempt;
    part.firstStartedAt = this.firstStartedAt;
    part.startedAt = this.startedAt;
    part.endedAt = this.endedAt;
    part.failure = this.failure;
    part.splitFrom = this.splitFrom;
    if (this.id !== undefined && !named) part.id = `${this.id}/${++this.parts}`;
    this.size -= indexes.length;
    this.weight -= weight;
    return part;
  }
}

function countBelow(sorted: readonly number[], value: number): number {
  let low = 0;
  for (let high = sorted.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value)
      low = middle + 1; // below the length
    else high = middle;
  }
  return low;
}
