import type { BatchPleaseState } from '../../src/index.js';
import { type KeyedTimer, unref } from './clock.js';
import { Entry, type Owner } from './entry.js';

/** Beyond this setTimeout fires after one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1;

type Counts = BatchPleaseState<unknown, unknown>['counts'];

/** The keys that are kept. Idle ones are in the order in which they became idle: giving one up costs no search. */
export class Keys<Item, Key, Batch> {
  readonly all = new Map<Key, Entry<Item, Key, Batch>>();
  /** Keys with pending items, in the order in which they got them, or last began an attempt. */
  readonly busy = new Set<Entry<Item, Key, Batch>>();
  /** Items accepted and not settled, over all keys. */
  pending = 0;
  /** Takes an item just now: a collector that ignores the options calls hooks before its items are counted here. */
  adding: Entry<Item, Key, Batch> | undefined;
  /** Counts of the removed keys. */
  readonly removed = { totalItems: 0, flushes: 0, delivered: 0, refused: 0, dropped: 0, returned: 0 };
  /** The collectors of removed keys, until they have closed. */
  readonly closing = new Map<Key, Promise<void>>();
  readonly #idle = new Set<Entry<Item, Key, Batch>>();
  /** Something has been pending since the last `drained`. */
  #filled = false;
  #timer: KeyedTimer | undefined;

  constructor(
    readonly owner: Owner<Item, Key, Batch>,
    public limit: number,
    public idleTimeout: number,
    /** A key may be made that could not be made before. */
    readonly left: () => void,
  ) {}

  /** `undefined` if there is no room for another key, or its last collector has not closed yet. */
  make(key: Key): Entry<Item, Key, Batch> | undefined {
    if (this.owner.batcher !== undefined && this.closing.has(key)) return undefined;
    while (this.all.size >= this.limit) {
      const [oldest] = this.#idle;
      if (oldest === undefined) return undefined;
      this.#giveUp(oldest);
      // Its last events have called listeners, and one of them may have added an item of this key.
      const made = this.all.get(key);
      if (made !== undefined) return made;
    }
    const entry = new Entry(key, this.owner);
    // Its factory is user code, and may have added an item of this key: the collector that has it stays.
    const made = this.all.get(key);
    if (made !== undefined) {
      void entry.collector.close();
      return made;
    }
    this.all.set(key, entry);
    this.#becomeIdle(entry);
    return entry;
  }

  /** Whether `make` would find room. */
  get roomy(): boolean {
    return this.all.size < this.limit || this.#idle.size > 0;
  }

  /** Whether nothing is pending any more, for the first time since something was. */
  takeDrained(): boolean {
    if (!this.#filled || this.pending > 0) return false;
    this.#filled = false;
    return true;
  }

  /** To be called after anything that may have changed what is pending. */
  look(entry: Entry<Item, Key, Batch>): void {
    const { pending } = entry.collector.state;
    if (pending === entry.pending || this.all.get(entry.key) !== entry) return;
    this.pending += pending - entry.pending;
    if (this.pending > 0) this.#filled = true;
    if (entry.pending === 0) {
      this.#idle.delete(entry);
      this.busy.add(entry);
    }
    entry.pending = pending;
    if (pending === 0) this.#becomeIdle(entry);
  }

  /** The key has been used, also if what was added is delivered already. */
  used(entry: Entry<Item, Key, Batch>): void {
    if (entry.pending > 0 || !this.#idle.delete(entry)) return;
    this.#becomeIdle(entry);
  }

  /** The key has been served: those that wait are older now. */
  served(entry: Entry<Item, Key, Batch>): void {
    if (this.busy.delete(entry)) this.busy.add(entry);
  }

  /** Stops the timer; the keys stay. */
  stop(): void {
    this.#disarm();
    this.idleTimeout = Infinity;
  }

  /** The limits have changed. */
  changed(): void {
    for (const entry of this.#idle) {
      if (this.all.size <= this.limit) break;
      this.#giveUp(entry);
    }
    this.#disarm();
    this.#arm();
  }

  #becomeIdle(entry: Entry<Item, Key, Batch>): void {
    const now = this.owner.clock.now();
    entry.idleSince = now;
    this.busy.delete(entry);
    this.#idle.add(entry);
    if (this.#timer !== undefined && this.owner.clock.isLost(this.#timer, now)) this.#disarm();
    this.#arm();
  }

  /** One timer, for the key that has been idle the longest. It keeps no process alive. */
  #arm(): void {
    const [oldest] = this.#idle;
    if (oldest === undefined || this.#timer !== undefined || this.idleTimeout === Infinity) return;
    const { clock } = this.owner;
    const wait = Math.ceil(Math.max(0, oldest.idleSince + this.idleTimeout - clock.now()));
    const ring = (): void => {
      if (timer === this.#timer) this.#onTimer(timer);
    };
    const timer = clock.setTimer(ring, Math.min(wait, LONGEST_TIMER));
    this.#timer = timer;
    unref(timer);
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.owner.clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  #onTimer(timer: KeyedTimer): void {
    const { clock } = this.owner;
    clock.reached(timer);
    this.#timer = undefined;
    const now = clock.now();
    for (const entry of this.#idle) {
      if (entry.idleSince + this.idleTimeout > now) break;
      this.#giveUp(entry);
    }
    this.#arm();
    this.left();
  }

  #giveUp(entry: Entry<Item, Key, Batch>): void {
    const { key, collector, seat } = entry;
    this.#idle.delete(entry);
    this.all.delete(key);
    this.owner.lanes.leave(seat);
    add(this.removed, collector.state.counts);
    const closed: Promise<void> = collector
      .close()
      .catch(() => undefined) // nothing was pending, and its failures are events
      .then(() => {
        if (this.closing.get(key) === closed) this.closing.delete(key);
        this.left();
      });
    this.closing.set(key, closed);
  }
}

export function add(to: { -readonly [Name in keyof Omit<Counts, 'batchItems'>]: number }, counts: Counts): void {
  for (const name of Object.keys(to) as (keyof typeof to)[]) to[name] += counts[name];
}
