import { Room } from '../core/admission.js';
import type { Core } from '../core/core.js';
import { onAbort } from '../core/promise.js';
import { ClosedError, ItemError, OverflowError } from '../errors.js';
import type { CollectorDriver } from './hooks.js';
import type { Reports } from './reports.js';
import type { BatchPleaseConfig, Prepared, Storage } from './types.js';

/** An item that was not accepted. */
class Refusal {
  constructor(readonly error: Error) {
    refusals.add(this);
  }
}
const refusals = new WeakSet<object>();

interface AdmissionParts<Item, State> {
  core: Core<State>;
  driver: CollectorDriver<Item, State>;
  reports: Reports<Item, State>;
  storage: Storage<Item, State> | undefined;
  config: () => BatchPleaseConfig;
}

/** Decides whether an item is accepted, by `maxPending`, `overflow` and a storage's own bound. */
export class Admission<Item, State> {
  readonly room: Room;
  /** Items refused or dropped before they were accepted. */
  turnedAway = 0;
  closed = false;
  /** A batch is being dropped, and its event emitted; the room is for the caller that it is dropped for. */
  dropping = false;
  readonly #parts: AdmissionParts<Item, State>;

  constructor(parts: AdmissionParts<Item, State>) {
    const { core, config } = parts;
    this.#parts = parts;
    // A caller that waits for room needs the open batch sealed, since no item can fill it. Retries keep their schedule.
    this.room = new Room(
      () => config().maxPending,
      () => core.pending,
      () => {
        core.demand();
      },
    );
  }

  /** Lets callers in that there is room for. */
  admit(): void {
    if (!this.dropping) this.room.admit();
  }

  /** An item was accepted at once. A caller that began to wait while room was made for this one needs it delivered. */
  accepted(): void {
    if (this.room.crowded) this.#parts.core.demand();
  }

  /** Opens or closes the fast path. */
  update(fast: boolean): void {
    const { core, config } = this.#parts;
    const { maxPending, highWaterMark } = config();
    core.capacity = fast && !this.closed && !this.room.crowded ? Math.min(maxPending, highWaterMark - 1) : 0;
    core.fastLimit = 0;
  }

  /** The entry that is kept until the item has joined, or its refusal. */
  prepare(item: Item, handled: boolean): Item | Refusal {
    const { storage } = this.#parts;
    if (storage === undefined || this.closed) return item;
    try {
      return storage.prepare(item) as Item;
    } catch (error) {
      const refusal = error instanceof OverflowError ? error : new ItemError('encode', error);
      return new Refusal(this.turnAway(item, refusal, handled));
    }
  }

  /** Nothing stands against the item. */
  takes(entry: Item | Refusal): boolean {
    return !this.closed && !isRefusal(entry) && this.#hasRoom(entry);
  }

  /** Why the item cannot be accepted, after what can be done to make room for it. */
  refusalOf(item: Item, entry: Item | Refusal, handled: boolean): Error | undefined {
    if (isRefusal(entry)) return entry.error;
    if (!this.closed && (this.#hasRoom(entry) || this.#dropOldest(entry))) return undefined;
    if (this.closed) return this.turnAway(item, new ClosedError('it takes no more items'), handled);
    const full = this.#overflowError(entry);
    if (this.#parts.config().overflow !== 'dropNewest') return this.turnAway(item, full, handled);
    this.turnedAway++;
    this.#parts.driver.counts.dropped++;
    this.#parts.reports.dropped({ reason: 'overflow', size: 1, error: full, item }, handled);
    return full;
  }

  /** Waits for room or makes it, where the policy says so; `undefined` if there is no need to. */
  wait(
    item: Item,
    entry: Item | Refusal,
    enter: () => Promise<void>,
    signal: AbortSignal | null | undefined,
  ): Promise<void> | undefined {
    if (this.closed || isRefusal(entry)) return undefined;
    const { overflow } = this.#parts.config();
    if (overflow === 'reject' || overflow === 'dropNewest') return undefined;
    if (overflow === 'dropOldest' && this.#dropOldest(entry)) {
      const entered = enter();
      this.accepted();
      return entered;
    }
    const turnAway = (): Error => this.turnAway(item, new ClosedError('closed while waiting for room'), false);
    const fits = (): boolean => this.#fits(entry);
    // A listener that adds again what was dropped to make room for it waits for a delivery, or it would drop without end.
    const makeRoom = this.dropping ? undefined : (): boolean => this.#drop(entry);
    const watch =
      signal == null
        ? undefined
        : (leave: (error: unknown) => void) =>
            onAbort(signal, () => {
              leave(signal.reason);
            });
    const waiting = this.room.wait(enter, turnAway, watch, 1, fits, makeRoom);
    waiting.catch(() => undefined);
    return waiting;
  }

  turnAway(item: Item, error: Error, handled: boolean): Error {
    this.turnedAway++;
    this.#parts.driver.counts.refused++;
    this.#parts.reports.refused(item, error, handled);
    return error;
  }

  /** Room goes to callers that wait for it first, and to the one for which it is being made. */
  #hasRoom(entry: Item): boolean {
    return !this.dropping && !this.room.crowded && this.#fits(entry);
  }

  #fits(entry: Item): boolean {
    const { core, storage, config } = this.#parts;
    return core.pending < config().maxPending && (storage?.hasRoom(entry as Prepared<Item>) ?? true);
  }

  /** Drops batches that are not in flight until there is room; `false` if there is none all the same, or a listener has closed. */
  #dropOldest(entry: Item): boolean {
    // Room that a drop made would go to the callers that wait for it.
    if (this.dropping || this.room.crowded) return false;
    while (!this.#fits(entry) && this.#drop(entry));
    return !this.closed && this.#fits(entry);
  }

  /** Drops the oldest batch that is not in flight, where the policy says so. */
  #drop(entry: Item): boolean {
    if (this.#parts.config().overflow !== 'dropOldest') return false;
    this.dropping = true;
    try {
      return this.#parts.core.dropOldest(this.#overflowError(entry));
    } finally {
      this.dropping = false;
    }
  }

  #overflowError(entry: Item): Error {
    const { core, storage, config } = this.#parts;
    const { maxPending } = config();
    if (storage !== undefined && core.pending < maxPending) return storage.overflow(entry as Prepared<Item>);
    return new OverflowError(`full: ${maxPending} items are pending`, core.pending, maxPending);
  }
}

/** `instanceof` would call into an item that is a proxy. */
function isRefusal(entry: unknown): entry is Refusal {
  return typeof entry === 'object' && entry !== null && refusals.has(entry);
}
