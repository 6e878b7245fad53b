/** What the sink is given. */
export interface State {
  items: number[];
}

/** `out`: its caller left while it waited for room. `left`: close reported it. */
export type Fate = 'called' | 'waiting' | 'pending' | 'delivered' | 'refused' | 'dropped' | 'returned' | 'left';

export interface Item {
  readonly id: number;
  readonly verb: string;
  readonly poison: boolean;
  fate: Fate;
  joinedAt: number;
  /** The batch that has it, once an attempt was made. */
  batch: string | undefined;
  outcome: 'none' | 'pending' | 'resolved' | 'rejected';
  error: unknown;
  heard: unknown[] | undefined;
}

/** A batch that the sink has seen, or that an event has named. */
export interface Batch {
  readonly id: string;
  items: number[];
  attempt: number;
  firstStartedAt: number;
  /** An attempt runs that has not answered, until it expires. */
  running: boolean;
  expiresAt: number;
  /** The items that the present attempt has delivered, once it has answered in time. */
  delivered: number[] | undefined;
  /** Why the last attempt failed: as a whole, or item by item. */
  errors: unknown[];
  failedAt: number;
  /** Calls of `flush()` with `hurry` before the last failure. */
  hurriesBefore: number;
  /** When it is due again, and whether the user has set that. */
  retryAt: number;
  delaySet: boolean;
  /** `flush()` has tried it in this wait. */
  hurried: boolean;
  extra: boolean;
  held: boolean;
  ended: boolean;
}

/** Whether an attempt runs: one that has expired does not, even if no event has said so. */
export function isRunning({ running, expiresAt }: Batch, now: number): boolean {
  return running && now < expiresAt;
}
