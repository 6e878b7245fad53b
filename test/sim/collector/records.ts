import type { Trigger } from 'batch-please';

/** What the sink is given. */
export interface State {
  items: number[];
  prepared: boolean;
}

/** `called`: its call has not returned. `waiting`: for room. `left`: close could not deliver it. `away`: its caller aborted. */
export type Fate = 'called' | 'waiting' | 'accepted' | 'delivered' | 'refused' | 'dropped' | 'left' | 'away';

export interface Item {
  readonly id: number;
  readonly weight: number;
  readonly verb: string;
  readonly signal: AbortSignal | undefined;
  /** Its call, in the order of all events. */
  readonly seq: number;
  fate: Fate;
  /** It was accepted between these times, and at the latest at this event. */
  from: number;
  to: number;
  acceptedSeq: number;
  /** Its place among those that have joined; -1 before. */
  joined: number;
  joinedSeq: number;
  joinedAt: number;
  batch: Delivery | undefined;
  outcome: 'none' | 'pending' | 'resolved' | 'rejected';
  /** When its call returned; Infinity before. */
  returnedSeq: number;
  /** What its `onError` has been given; `undefined` without one. */
  heard: unknown[] | undefined;
}

/** Work that follows a delivery or a drop: `batchPostFlush`, `batchDeadLetter`. */
export interface Chore {
  attempt: number;
  running: boolean;
  startedAt: number;
  retryAt: number;
  seq: number;
}

/** A batch as the sink sees it. */
export interface Delivery {
  readonly id: string;
  readonly items: Item[];
  readonly reason: Trigger;
  attempt: number;
  startedAt: number;
  startedSeq: number;
  /** Whether it occupies a lane. */
  lane: boolean;
  phase: 'running' | 'parked' | 'held' | 'delivered' | 'dropped' | 'left';
  phaseSeq: number;
  /** What the attempt has answered in time. */
  answer: { ok: boolean; error: unknown } | undefined;
  /** What `batchFlush` was given. */
  sent: State | undefined;
  /** Parked: when it is due. Held: since when. */
  retryAt: number;
  /** Parked: `flush()` has tried it during this wait. */
  hurried: boolean;
  /** The present attempt was asked for by `flush()`: it uses up none of `retry.attempts`. */
  extra: boolean;
  /** Parked before the present attempt: when it was due. */
  dueAt: number;
  /** Left, by the answer of its attempt, before the event that is to say so. */
  leftBefore: boolean;
  lastError: unknown;
  chore: Chore | undefined;
}

/** `flush`: hurries what waits for its retry, once per wait. `close`: hurries everything. `cut`: hurries nothing. */
export interface Demand {
  readonly seq: number;
  readonly at: number;
  readonly kind: 'flush' | 'close' | 'cut';
}

export interface Ask {
  readonly seq: number;
  readonly at: number;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** What was pending when `flush` was called. */
  readonly covered: readonly Item[];
  outcome: 'pending' | 'resolved' | 'rejected';
}

export interface Closing {
  readonly seq: number;
  readonly at: number;
  readonly timeout: number;
  readonly flush: boolean;
  outcome: 'pending' | 'resolved' | 'rejected';
  error: unknown;
  settledAt: number;
}
