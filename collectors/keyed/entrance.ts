import { OverflowError } from '../../src/index.js';
import type { Keys } from './keys.js';
import type { Entry } from './entry.js';
import type { Lanes } from './lanes.js';
import { type Waiting, Waiters } from './waiting.js';

/** Bounds over all keys: pending items and keys; callers that wait for room, first come first served. */
export class Entrance<Item, Key, Batch> {
  /** Keys with items that no demand covers. */
  readonly fresh = new Set<Entry<Item, Key, Batch>>();
  readonly #waiting = new Waiters<Item, Key, Batch>();
  #admitting = false;
  /** A batch is being dropped, and its event emitted; the room is for the caller that it is dropped for. */
  #dropping = false;

  constructor(
    readonly keys: Keys<Item, Key, Batch>,
    readonly lanes: Lanes,
    public maxPending: number,
    /** The policy is `'dropOldest'`. */
    public drops: boolean,
  ) {}

  /**
   * The entry that the item may be added to, after what can be done to make room, or why there is none. A factory of
   * collectors may throw.
   */
  find(key: Key): Entry<Item, Key, Batch> | OverflowError {
    const waiting = this.#waiting;
    // Room that a drop made is for this item: who waits by then began to wait meanwhile.
    for (let made = false; ; made = true) {
      const entry = this.#find(key, made);
      if (entry !== undefined) return entry;
      const error = this.#overflowError();
      // It would go to the callers that wait for it.
      const waitsBehind = waiting.crowded || (waiting.forKeys && !this.keys.all.has(key));
      if ((!waitsBehind || made) && this.#dropOldest(error)) continue;
      if (made) this.admit();
      return error;
    }
  }

  #find(key: Key, made: boolean): Entry<Item, Key, Batch> | undefined {
    const keys = this.keys;
    if (keys.adding !== undefined) keys.look(keys.adding); // called back by a hook
    if (this.#dropping || (this.#waiting.crowded && !made) || keys.pending >= this.maxPending) return undefined;
    return keys.all.get(key) ?? (this.#waiting.forKeys ? undefined : keys.make(key));
  }

  /** Drops the oldest batch that is not in flight, of the key that was served least lately, where the policy says so. */
  #dropOldest(error: OverflowError): boolean {
    const { keys } = this;
    const forItem = keys.pending >= this.maxPending;
    // A key whose last collector has not closed yet has room, and waits for that.
    if (!this.drops || this.#dropping || (!forItem && keys.roomy)) return false;
    this.#dropping = true;
    try {
      for (const entry of keys.busy) {
        // A key with a batch in flight stays busy, whatever else of it is dropped: that makes no room for another key.
        if (!forItem && entry.inFlight) continue;
        const { collector } = entry as unknown as { collector: { dropOldest?: (error: Error) => boolean } };
        if (collector.dropOldest?.(error) !== true) continue;
        keys.look(entry);
        return true;
      }
      return false;
    } finally {
      this.#dropping = false;
    }
  }

  #overflowError(): OverflowError {
    const { keys, maxPending } = this;
    return keys.pending >= maxPending || this.#waiting.crowded || (this.#dropping && keys.roomy)
      ? new OverflowError(`full: ${maxPending} items are pending`, keys.pending, maxPending)
      : new OverflowError(`full: all ${keys.limit} keys are busy`, keys.all.size, keys.limit);
  }

  /** Calls one of the two functions later; returns a function that takes the caller out. */
  wait(key: Key, enter: (entry: Entry<Item, Key, Batch>) => void, turnAway: (error: unknown) => void): () => void {
    // A listener that adds again what was dropped waits for a delivery, or it would drop without end.
    const waiting = { key, drops: !this.#dropping, enter, turnAway };
    const full = this.#waiting.crowded || this.#dropping || this.keys.pending >= this.maxPending;
    if (full) this.#waiting.waitForItems(waiting);
    else this.#waiting.waitForKey(waiting);
    this.#demand();
    return () => {
      // Others may have waited for no more than this one to leave.
      if (this.#waiting.remove(waiting)) this.admit();
    };
  }

  /**
   * Lets callers in that there is room for. `drops`: an attempt has failed, so that there may be a batch to drop for the
   * first of them. At other times a batch that was let in for one would be dropped for the next before it could start.
   */
  admit(drops = false): void {
    if (this.#admitting || this.#dropping || this.#waiting.empty) return;
    this.#admitting = true;
    try {
      let [some, keys] = [false, true];
      for (;;) {
        const next = this.#next(keys);
        if (next === undefined) {
          if (some || !drops || !this.#makeRoom()) break;
          keys = true;
        } else if (this.#admit(next, keys)) some = true;
        else keys = false; // another caller that needs a key waits for it as well
      }
    } finally {
      this.#admitting = false;
    }
    this.#demand();
  }

  /** Rejects every waiting caller. */
  close(error: () => Error): void {
    // All at once: a listener of the first refusal may make room, which must let no caller in any more.
    for (const waiting of this.#waiting.takeAll()) waiting.turnAway(error());
  }

  /** Drops for the caller that came first; `false` if there is nothing to drop. */
  #makeRoom(): boolean {
    const { first } = this.#waiting;
    return first?.drops === true && this.#dropOldest(this.#overflowError());
  }

  #next(keys: boolean): Waiting<Item, Key, Batch> | undefined {
    return this.keys.pending >= this.maxPending ? undefined : this.#waiting.next(keys && this.keys.roomy);
  }

  /** `false` if there is no room for its key after all: it goes on waiting. */
  #admit(waiting: Waiting<Item, Key, Batch>, makes: boolean): boolean {
    let entry: Entry<Item, Key, Batch> | undefined;
    try {
      entry = this.keys.all.get(waiting.key) ?? (makes ? this.keys.make(waiting.key) : undefined);
    } catch (error) {
      if (this.#waiting.remove(waiting)) waiting.turnAway(error);
      return true;
    }
    if (entry === undefined) {
      this.#waiting.waitForKey(waiting);
      return false;
    }
    // The code that makes and closes collectors is the user's, and may have taken the caller out.
    const waits = this.#waiting.remove(waiting);
    this.#waiting.made(waiting.key);
    if (waits) waiting.enter(entry);
    return true;
  }

  /** A caller waits for room: delivers items that no demand covers, as far as there are lanes. */
  #demand(): void {
    if (this.#waiting.empty) return;
    for (const entry of this.fresh) {
      if (!this.lanes.free) return; // asked again when an attempt has ended
      this.fresh.delete(entry);
      if (entry.pending > 0) entry.demand();
    }
  }
}
