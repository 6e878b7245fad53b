import { TimeoutError } from '../errors.js';
import { type Awaitable, Deferred, RESOLVED, hush, ignorableRejection, isThenable } from './promise.js';
import type { Clock } from './clock.js';
import { Fifo } from './deque.js';
import { Flight, type Stage, type Workload } from './flight.js';
import type { Ledger, Trigger } from './ledger.js';

/**
 * For what the promise of an entry waits: that it has joined, and if that made its batch due, for the batch as well; that
 * it has joined, whatever comes after; or for its batch.
 */
export type Until = 'joined' | 'stored' | 'delivered';

/** Someone who waits for an entry that has not joined yet. */
class Joiner extends Deferred {
  constructor(readonly until: Until) {
    super();
  }
}

const NONE = Symbol('no open batch');

/** What a user's `weigh` has answered; throws `TypeError` unless it is a weight. */
export function checkWeight(given: unknown): number {
  if (typeof given === 'number' && given >= 0 && given < Infinity) return given;
  hush(given);
  throw new TypeError(`expected a weight from 0 up, given ${String(given)}`);
}

/**
 * The way in: entries that wait, those on their way, and the open batch that they join.
 *
 * Entries join one by one, each as soon as it comes; or they gather, and join in groups (`Workload.addAll`).
 */
export class Intake<Entry, Batch> {
  /** The last entry that joined. */
  last: Entry | undefined;
  readonly #workload: Workload<Entry, Batch, unknown>;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  /** `false`: called within a turn, which goes on by itself. */
  readonly #turn: () => boolean;
  /** Whether an entry needs more than its add hook: a weight, or a look before and after. */
  readonly #selective: boolean;
  /** Whether a time limit counts from the acceptance of an entry. */
  readonly #timed: boolean;
  readonly #gathering: Workload<Entry, Batch, unknown>['gathering'];
  /** Entries that wait, and when each was accepted (kept only if an age depends on it). */
  readonly #inbox = new Fifo<Entry>();
  readonly #acceptedAt = new Fifo<number>();
  readonly #joiners = new Map<number, Joiner>();
  #open: Batch | typeof NONE = NONE;
  #outcome: Deferred | undefined;
  /** The position below which an entry joins the open batch without anything to decide; 0 when in doubt. */
  #clear = 0;
  #capacity = 0;
  /** Whether the family is being asked about the open batch. */
  #asking = false;
  #closing = false;
  /** What waits below this position may be taken, even if it is less than a group. */
  #gathered = 0;
  /** Whether `Gathering.soon` has been asked, and has not called back. */
  #gathers = false;
  readonly #take = (): void => {
    this.#gathers = false;
    this.gathered();
    this.#turn();
  };
  /** The entries on their way, while their hook has not answered. */
  #onTheWay: readonly Entry[] = [];
  /** The batch that made way for the entry that joined last. */
  #displaced: Promise<void> | undefined;
  /** The last refusal: its position and error. */
  #refusedAt = -1;
  #refusal: Error | undefined;

  constructor(workload: Workload<Entry, Batch, unknown>, ledger: Ledger, clock: Clock, turn: () => boolean) {
    this.#workload = workload;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#turn = turn;
    this.#selective = workload.weigh !== undefined || workload.due !== undefined;
    this.#timed = Math.min(ledger.limits.age, ledger.limits.sinceFlush) < Infinity;
    this.#gathering = workload.gathering;
  }

  /** The state of the open batch. */
  get batch(): Batch | undefined {
    return this.#open === NONE ? undefined : this.#open;
  }

  /** How many may be pending for `join` to let an entry in. */
  set capacity(capacity: number) {
    this.#capacity = capacity;
    this.#clear = 0;
  }

  /**
   * The short way in, for an entry that neither opens nor fills its batch; `false` leaves it to `add`. With a hook that
   * answers at once the two cursors are all that is written.
   */
  join(entry: Entry): boolean {
    const ledger = this.#ledger;
    const position = ledger.ready;
    if (position >= this.#clear || ledger.entering !== position) return false;
    ledger.entering = position + 1;
    let next: Awaitable<Batch | undefined>;
    try {
      next = this.#workload.add(this.#open as Batch, entry); // it is clear only while a batch is open
    } catch (error) {
      this.#refuse(entry, error, 'add');
      this.#turn();
      return true;
    }
    if (next === undefined) {
      ledger.ready = position + 1;
      this.last = entry;
    } else if (!this.#added(next, entry, 0)) return true;
    // The hook may have called back.
    if (position >= this.#clear) this.#turn();
    return true;
  }

  /**
   * The shorter way, for a family that puts the entry into its batch by itself: the batch that it joins with this call, or
   * `undefined`, which leaves it to `join` or `add`. Neither `last` nor the workload learns of it.
   */
  slot(): Batch | undefined {
    const ledger = this.#ledger;
    const position = ledger.ready;
    if (position >= this.#clear || ledger.entering !== position) return undefined;
    ledger.entering = position + 1;
    ledger.ready = position + 1;
    return this.#open as Batch; // it is clear only while a batch is open
  }

  /** Takes an entry, without waiting for anything. */
  add(entry: Entry): void {
    if (this.#put(entry)) this.#turn();
  }

  /** The short way in for an entry that somebody waits for; `undefined` leaves it to `addUntil`. */
  joinUntil(entry: Entry, until: Until): Promise<void> | undefined {
    const ledger = this.#ledger;
    const position = ledger.ready;
    if (position >= this.#clear || ledger.entering !== position) return undefined;
    const outcome = this.#openOutcome();
    this.join(entry);
    const early = this.#early(position, until);
    if (early !== undefined) return early;
    if (until !== 'joined') return outcome;
    // A hook that has called back may have made the batch due.
    return position < this.#clear && !ledger.overdue ? RESOLVED : this.#afterTurn(position, outcome);
  }

  /** Takes an entry; the promise rejects only if it will never be delivered. */
  addUntil(entry: Entry, until: Until): Promise<void> {
    const ledger = this.#ledger;
    const position = ledger.accepted;
    const look = this.#put(entry);
    const early = this.#early(position, until);
    if (early !== undefined) {
      if (look) this.#turn();
      return early;
    }
    if (!look && until === 'joined') return ledger.overdue ? this.#openOutcome() : RESOLVED;
    const outcome = this.#openOutcome();
    const looked = !look || this.#turn();
    if (until !== 'joined') return until === 'delivered' ? outcome : RESOLVED;
    return looked ? this.#dueOutcome(position, outcome) : this.#afterTurn(position, outcome);
  }

  /** What is known of an entry that has not joined: it waits for its hook, or was refused. */
  #early(position: number, until: Until): Promise<void> | undefined {
    if (this.#ledger.ready <= position) {
      const joiner = new Joiner(until);
      this.#joiners.set(position, joiner);
      return joiner.promise;
    }
    return this.#refusedAt === position ? ignorableRejection(this.#refusal) : undefined;
  }

  /** Was the entry of that position, the last that was taken, refused at once? */
  refusalOf(position: number): Error | undefined {
    return this.#refusedAt === position ? this.#refusal : undefined;
  }

  /** Seals the open batch as it is, if there is anything in it. */
  seal(reason: Trigger): void {
    if (this.#ledger.size === 0) return;
    this.#ledger.seal(new Flight<Batch>(this.#open as Batch, this.#outcome), reason); // a size says it is open
    this.#open = NONE;
    this.#outcome = undefined;
    this.#clear = 0;
  }

  /** No entry is on its way into the open batch, and nobody is looking at it. */
  get still(): boolean {
    return this.#ledger.entering === this.#ledger.ready && !this.#asking;
  }

  /** A hook that has an entry, or looks at the open batch, has not returned. */
  get inHook(): boolean {
    return !this.still && this.#onTheWay.length === 0;
  }

  /** From now on each entry that joins calls for a turn. */
  close(): void {
    this.#closing = true;
  }

  /** What waits may be taken. */
  gathered(): void {
    this.#gathered = this.#ledger.accepted;
    this.#clear = 0;
  }

  /** Lets the next entry join, or the next group; `false` if none can. */
  step(): boolean {
    const ledger = this.#ledger;
    if (ledger.waiting === 0 || !this.still) return false;
    if (this.#gathering === undefined) {
      ledger.waiting--;
      this.#join(this.#inbox.shift() as Entry, this.#acceptedAt.shift()); // the ledger says that one waits
      return true;
    }
    const { most, whenIdle } = this.#gathering;
    if (whenIdle && !ledger.idle) return false;
    const room = Math.min(ledger.limits.size - ledger.size, most);
    // A mailbox never takes what has not gathered: a hook that fills it anew each time would occupy the event loop.
    if (ledger.entering >= this.#gathered && (whenIdle || ledger.waiting < room)) return false;
    this.#joinGroup(Math.min(room, ledger.waiting));
    this.#gather();
    return true;
  }

  /** After a turn: how far the short way is open. */
  clear(): void {
    const ledger = this.#ledger;
    const closed =
      this.#selective || this.#gathering !== undefined || ledger.full || ledger.waiting > 0 || ledger.size === 0;
    const limit = ledger.sealed + ledger.holes + ledger.limits.size - 1;
    this.#clear = closed ? 0 : Math.min(limit, ledger.finished + this.#capacity);
  }

  /** Refuses what has been on its way for too long. */
  expire(): void {
    const error = new TimeoutError('adding an item', this.#ledger.limits.entry);
    this.#refuseAll(this.#onTheWay, error, this.#open === NONE ? 'open' : 'add');
  }

  /** Refuses the oldest group that waits; `false` if there is none, or others are on their way before it. */
  refuseOldest(error: Error): boolean {
    const ledger = this.#ledger;
    if (ledger.waiting === 0 || !this.still) return false;
    const next = ledger.entering + 1;
    const count = (this.#gathering?.endOfGroup?.(next) ?? next) - ledger.entering;
    const oldest = this.#inbox.take(count);
    this.#acceptedAt.take(count);
    ledger.waiting -= count;
    ledger.entering += count;
    this.#refuseAll(oldest, error, 'closed');
    return true;
  }

  /** Refuses everything that has not joined, and says how much that was. */
  abandon(error: Error): number {
    const ledger = this.#ledger;
    const count = this.#onTheWay.length + ledger.waiting;
    this.#refuseAll(this.#onTheWay, error, 'closed');
    const waiting = this.#inbox.take(ledger.waiting);
    ledger.entering += ledger.waiting;
    ledger.waiting = 0;
    this.#refuseAll(waiting, error, 'closed');
    return count;
  }

  /** Takes an entry, and says whether a turn is needed. */
  #put(entry: Entry): boolean {
    const ledger = this.#ledger;
    const gathering = this.#gathering;
    // A batch that is due is sealed before anything else joins: by the turn under way, if a hook of it adds.
    if (gathering === undefined && this.still && ledger.waiting === 0 && !ledger.full)
      return this.#join(entry, undefined);
    this.#inbox.push(entry);
    ledger.waiting++;
    this.#clear = 0;
    if (this.#timed) this.#acceptedAt.push(this.#clock.now());
    if (gathering === undefined) return false;
    this.#gather();
    return ledger.waiting >= gathering.most;
  }

  /** Asks when what waits may be taken, unless some of it may be already. */
  #gather(): void {
    if (this.#gathers || this.#ledger.waiting === 0 || this.#ledger.entering < this.#gathered) return;
    this.#gathers = true;
    this.#gathering?.soon(this.#take);
  }

  #join(entry: Entry, acceptedAt: number | undefined): boolean {
    const ledger = this.#ledger;
    ledger.entering++;
    let weight = 0;
    if (this.#selective) {
      try {
        weight = this.#weigh(entry);
      } catch (error) {
        this.#refuse(entry, error, 'weigh');
        return true;
      }
      const wanted = this.#workload.due?.() === true;
      if (ledger.weight + weight > ledger.limits.weight) this.#makeWay('weight');
      else if (wanted) this.#makeWay('shouldFlush');
      else this.#displaced = undefined;
    }
    if (ledger.size === 0) ledger.open(acceptedAt ?? this.#clock.now());
    if (this.#open !== NONE) return this.#addTo(this.#open, entry, weight);
    let opened: Awaitable<Batch>;
    try {
      opened = this.#workload.open();
    } catch (error) {
      this.#refuse(entry, error, 'open');
      return true;
    }
    if (isThenable(opened)) {
      this.#await([entry], opened, 'open', (batch) => {
        this.#open = batch;
        this.#addTo(batch, entry, weight);
      });
      return false;
    }
    this.#open = opened;
    return this.#addTo(opened, entry, weight);
  }

  /** Seals the batch that the entry on its way is not to join. */
  #makeWay(reason: Trigger): void {
    this.#displaced = this.#ledger.size === 0 ? undefined : this.#openOutcome();
    this.seal(reason);
    this.#turn(); // it does not wait for a slow hook of the next
  }

  #addTo(batch: Batch, entry: Entry, weight: number): boolean {
    let next: Awaitable<Batch | undefined>;
    try {
      next = this.#workload.add(batch, entry);
    } catch (error) {
      this.#refuse(entry, error, 'add');
      return true;
    }
    return this.#added(next, entry, weight);
  }

  /** The hook has returned: nothing, the next state, or a promise of either. */
  #added(next: Awaitable<Batch | undefined>, entry: Entry, weight: number): boolean {
    if (isThenable(next)) {
      this.#await([entry], next, 'add', (state) => {
        if (state !== undefined) this.#open = state;
        this.last = entry;
        this.#joined(1, weight);
      });
      return false;
    }
    if (next !== undefined) this.#open = next;
    this.last = entry;
    return this.#joined(1, weight);
  }

  /** Takes the first entries that wait, as many as fit, and adds them in one go. */
  #joinGroup(most: number): void {
    const ledger = this.#ledger;
    const whole = this.#gathering?.endOfGroup?.(ledger.entering + most) ?? ledger.entering + most;
    const weights = this.#workload.weigh === undefined ? undefined : this.#weighGroup(most);
    const count = weights === undefined ? whole - ledger.entering : weights.length;
    if (count === 0) return;
    const entries = this.#inbox.take(count);
    const acceptedAt = this.#acceptedAt.take(count)[0];
    ledger.waiting -= count;
    ledger.entering += count;
    if (this.#workload.due?.() === true) this.#makeWay('shouldFlush');
    if (ledger.size === 0) ledger.open(acceptedAt ?? this.#clock.now());
    if (this.#open !== NONE) {
      this.#addGroup(this.#open, entries, weights);
      return;
    }
    let opened: Awaitable<Batch>;
    try {
      opened = this.#workload.open();
    } catch (error) {
      this.#refuseAll(entries, error, 'open');
      return;
    }
    if (isThenable(opened)) {
      this.#await(entries, opened, 'open', (batch) => {
        this.#open = batch;
        this.#addGroup(batch, entries, weights);
      });
    } else {
      this.#open = opened;
      this.#addGroup(opened, entries, weights);
    }
  }

  #addGroup(batch: Batch, entries: readonly Entry[], weights: readonly number[] | undefined): void {
    try {
      const errors = this.#workload.addAll?.(batch, entries);
      if (isThenable(errors)) {
        this.#await(entries, errors, 'add', (settled) => {
          this.#groupAdded(entries, settled, weights);
        });
      } else this.#groupAdded(entries, errors, weights);
    } catch (error) {
      this.#refuseAll(entries, error, 'add');
    }
  }

  #groupAdded(
    entries: readonly Entry[],
    errors: readonly unknown[] | undefined,
    weights: readonly number[] | undefined,
  ): void {
    if (errors === undefined && weights === undefined) {
      this.last = entries.at(-1);
      this.#joined(entries.length, 0);
      return;
    }
    entries.forEach((entry, i) => {
      if (errors?.[i] === undefined) {
        this.last = entry;
        this.#joined(1, weights?.[i] ?? 0);
      } else this.#refuse(entry, errors[i], 'add');
    });
  }

  /** The weights of those that fit into the open batch, which is sealed if not even the first one does. */
  #weighGroup(most: number): number[] {
    const ledger = this.#ledger;
    const weights: number[] = [];
    let sum = ledger.weight;
    for (const entry of this.#inbox) {
      if (weights.length === most) break;
      let weight: number;
      try {
        weight = this.#weigh(entry);
      } catch (error) {
        if (weights.length > 0) break;
        this.#inbox.shift();
        this.#acceptedAt.shift();
        ledger.waiting--;
        ledger.entering++;
        this.#refuse(entry, error, 'weigh');
        break;
      }
      const alone = weights.length === 0 && ledger.size === 0;
      if (sum + weight > ledger.limits.weight && !alone) {
        if (weights.length > 0) break;
        this.seal('weight');
        sum = 0;
      }
      sum += weight;
      weights.push(weight);
    }
    return weights;
  }

  #weigh(entry: Entry): number {
    if (this.#workload.weigh === undefined) return 0;
    return checkWeight(this.#workload.weigh(entry));
  }

  /** Goes on when the hook has answered, unless the entries were refused for its slowness meanwhile. */
  #await<T>(entries: readonly Entry[], answer: PromiseLike<T>, stage: 'open' | 'add', next: (value: T) => void): void {
    const ledger = this.#ledger;
    const position = ledger.ready;
    this.#onTheWay = entries;
    ledger.entryDeadline = this.#clock.now() + ledger.limits.entry;
    if (ledger.entryDeadline < Infinity) this.#turn();
    Promise.resolve(answer).then(
      (value) => {
        if (ledger.ready !== position) return;
        this.#arrived();
        next(value);
        this.#turn();
      },
      (error: unknown) => {
        if (ledger.ready !== position) return;
        this.#refuseAll(entries, error, stage);
        this.#turn();
      },
    );
  }

  /** Says whether a turn is needed: the first entry sets the deadlines, the last makes the batch due. */
  #joined(count: number, weight: number): boolean {
    const ledger = this.#ledger;
    ledger.join(count, weight);
    if (this.#joiners.size > 0) {
      for (let position = ledger.ready - count; position < ledger.ready; position++) this.#settleJoiner(position);
    }
    if (this.#selective && this.#isDue()) ledger.ask('shouldFlush');
    return this.#closing || ledger.full || ledger.size === count || ledger.waiting > 0;
  }

  /** The family looks at the open batch, which stands still until it has answered, whatever it calls. */
  #isDue(): boolean {
    this.#asking = true;
    const due = this.#workload.due?.() === true;
    this.#asking = false;
    return due;
  }

  #settleJoiner(position: number): void {
    const joiner = this.#joiners.get(position);
    if (joiner === undefined) return;
    this.#joiners.delete(position);
    if (joiner.until === 'stored') {
      joiner.resolve();
      return;
    }
    const outcome = this.#openOutcome();
    if (joiner.until === 'delivered') joiner.resolve(outcome);
    // Whether this entry makes the batch due is known after the turn that follows.
    else joiner.resolve(RESOLVED.then(() => this.#dueOutcome(position, outcome)));
  }

  /** The batch that the entry made due, if it did: its own, or the one that it did not fit into. */
  #dueOutcome(position: number, outcome: Promise<void>): Promise<void> {
    if (this.#ledger.sealed > position || this.#ledger.overdue) return outcome;
    return this.#displaced?.then(undefined, () => undefined) ?? RESOLVED;
  }

  /** The same, once the turn under way has shown what it made due. */
  #afterTurn(position: number, outcome: Promise<void>): Promise<void> {
    const later = RESOLVED.then(() => this.#dueOutcome(position, outcome));
    hush(later);
    return later;
  }

  #openOutcome(): Promise<void> {
    this.#outcome ??= new Deferred();
    return this.#outcome.promise;
  }

  #arrived(): void {
    this.#onTheWay = [];
    this.#ledger.entryDeadline = Infinity;
  }

  #refuseAll(entries: readonly Entry[], error: unknown, stage: Stage): void {
    this.#arrived();
    for (const entry of entries) this.#refuse(entry, error, stage);
  }

  #refuse(entry: Entry, error: unknown, stage: Stage): void {
    const ledger = this.#ledger;
    const position = ledger.ready;
    ledger.refuse();
    const refusal = this.#workload.refused(entry, error, stage, position);
    this.#refusedAt = position;
    this.#refusal = refusal;
    this.#joiners.get(position)?.reject(refusal);
    this.#joiners.delete(position);
  }
}
