import { Fifo } from './deque.js';

/** Why a batch was cut. Every batch and every event carries it, the same in every attempt. */
export type Trigger =
  'size' | 'weight' | 'age' | 'sinceFlush' | 'interval' | 'shouldFlush' | 'demand' | 'close' | 'recovery';

/** What makes a batch due. `Infinity` switches a limit off; all times are milliseconds. */
export interface Limits {
  /** Entries; whoever adapts the size writes this number. */
  size: number;
  weight: number;
  /** Since the acceptance of the batch's first entry. */
  age: number;
  /** Since the last delivery; before there is one, since the first entry. */
  sinceFlush: number;
  interval: number;
  /** The fraction of the interval by which a tick may be late, 0…1. */
  jitter: number;
  /** Batches that run at the same time. */
  lanes: number;
  /** How long an attempt may take. */
  attempt: number;
  /** How long an entry may be on its way into a batch. */
  entry: number;
  random: () => number;
}

/** A sealed batch: the interval `[from, to)` of the log, and where its attempts stand. */
export class Cut {
  from = 0;
  to = 0;
  /** Entries in it; less than `to - from` when some of the interval were refused. */
  size = 0;
  weight = 0;
  reason: Trigger = 'demand';
  /** Of the present attempt, from 1. */
  attempt = 0;
  startedAt = 0;
  /** Runs begun and ended: it runs while they differ, and what a run up to `ended` answers comes too late. */
  begun = 0;
  ended = 0;
  /** The slot it occupies; -1 for none. */
  lane = -1;
  /** Running: when the run expires. Parked: when it is tried again. */
  deadline = Infinity;
  /** Held: the number of triggers that had fired by then; the next one tries it again. */
  heldAt = Infinity;

  /** Its entries are delivered or given up. */
  finished = false;

  get running(): boolean {
    return this.begun > this.ended;
  }

  /** It waits to be tried again; one that is finished, but still on its lane, is just being told of. */
  get parked(): boolean {
    return !this.running && !(this.finished && this.lane >= 0);
  }
}

/** Positions of an earlier life start here, far enough below 0. */
const BEFORE = -(2 ** 52);

interface Demand {
  position: number;
  reason: Trigger;
}

/**
 * The log's bookkeeping: it decides when the next batch is cut, on which lane it runs, and when to look again. Numbers
 * in, numbers out; time is told to it.
 *
 * 1. `settled ≤ started ≤ sealed ≤ ready ≤ entering ≤ accepted`, and none of them ever shrinks.
 * 2. Cuts partition the log: each starts where the one before it ended, apart from entries that were refused while no
 *    batch was open, which belong to none.
 * 3. A cut is never empty, never early, and never made while an entry is on its way into it.
 * 4. `deadline` is the next moment at which the answers change if nothing else happens. Looking too early is harmless.
 */
export class Ledger {
  /** Entries handed to their add hook; those between `ready` and this are on their way. */
  entering = 0;
  /** Accepted entries that wait for the one on its way. */
  waiting = 0;
  /** Entries that have joined a batch, or were refused on the way. */
  ready = 0;
  /** Entries whose batch takes no more. */
  sealed = 0;
  /** Accepted entries that are delivered, refused or dropped. Unlike `settled` it has no low-water mark. */
  finished = 0;
  /** Entries of batches from an earlier life. */
  adopted = 0;

  /** The open batch: its weight, when its first entry was accepted, and how many were refused on the way into it. */
  weight = 0;
  openedAt = 0;
  holes = 0;
  /** When the entry on its way is given up. */
  entryDeadline = Infinity;
  /** `undefined` before the first. */
  lastFlush: number | undefined;

  /** Sealed, and not yet on a lane. */
  readonly queue = new Fifo<Cut>();
  /** On a lane, or (without one) with work that follows the delivery still to do. */
  readonly active: Cut[] = [];

  /** The time trigger that has made the open batch due; it then grows until a lane is idle. */
  #trigger: Trigger | undefined;
  /** Why the open batch is wanted as it is, whatever waits behind it. */
  #asked: Trigger | undefined;
  /** When the last attempt of a held batch failed: an open batch that is overdue fires again that much later. */
  #heldSince = -Infinity;
  /** How many triggers have fired. */
  #fired = 0;
  /** The next tick of the interval's grid. */
  #tick: number;
  readonly #origin: number;
  readonly #demands = new Fifo<Demand>();
  readonly #idle = new Fifo<number>();

  constructor(
    readonly limits: Limits,
    now: number,
  ) {
    this.#origin = now;
    this.#tick = this.#tickAfter(now);
    for (let lane = 0; lane < limits.lanes; lane++) this.#idle.push(lane);
  }

  /** Entries the batcher has taken responsibility for. */
  get accepted(): number {
    return this.entering + this.waiting;
  }

  /** Entries in the open batch. */
  get size(): number {
    return this.ready - this.sealed - this.holes;
  }

  /** Entries whose batch has been handed to a lane. */
  get started(): number {
    return this.queue.peek()?.from ?? this.sealed;
  }

  /** Every entry below is delivered, refused or given up. */
  get settled(): number {
    let low = this.size > 0 ? this.sealed : this.ready;
    low = this.queue.peek()?.from ?? low;
    for (const cut of this.active) if (cut.lane >= 0 && cut.from < low) low = cut.from;
    return low;
  }

  get pending(): number {
    return this.accepted - this.finished;
  }

  get idle(): boolean {
    return this.#idle.length > 0;
  }

  /** A time trigger has fired for the open batch, and no lane is idle. */
  get overdue(): boolean {
    return this.#trigger !== undefined;
  }

  /** The open batch takes no more, or somebody wants one cut that does not have to be full. */
  get full(): boolean {
    const { limits } = this;
    const asked = this.#asked !== undefined || this.#demands.length > 0;
    return asked || this.size >= limits.size || this.weight >= limits.weight;
  }

  /** An entry accepted at `acceptedAt` is handed to the add hook as the first of the open batch. */
  open(acceptedAt: number): void {
    this.openedAt = acceptedAt;
    if (this.#tick <= acceptedAt) this.#tick = this.#tickAfter(acceptedAt);
  }

  /** Entries on their way have joined the open batch. */
  join(count: number, weight: number): void {
    this.ready += count;
    this.weight += weight;
  }

  /** The entry on its way was refused. */
  refuse(): void {
    this.ready++;
    this.holes++;
    this.finished++;
    this.#advance();
  }

  /** Entries are taken back before they run: out of a sealed batch, or out of the open one. */
  withdraw(cut: Cut | undefined, count: number, weight: number): void {
    this.finished += count;
    if (cut !== undefined) {
      cut.size -= count;
      cut.weight -= weight;
      return;
    }
    this.holes += count;
    this.weight -= weight;
    if (this.size > 0) return;
    // What made the batch due concerns none of the entries that come now.
    this.weight = 0;
    this.#trigger = undefined;
    this.#asked = undefined;
    this.#advance();
  }

  /** Everything accepted so far is to be delivered now, whatever its batch lacks, and whatever it was waiting for. */
  demand(reason: Trigger): void {
    if (this.accepted > this.sealed) this.#demands.push({ position: this.accepted, reason });
    for (const cut of this.active) if (cut.parked) cut.deadline = -Infinity;
  }

  /** The open batch goes as if its time had come: as soon as a lane is idle. */
  ripen(reason: Trigger): void {
    if (this.size > 0) this.#trigger ??= reason;
    this.#fired++;
  }

  /** The open batch is to be sealed as it is. */
  ask(reason: Trigger): void {
    this.#asked = reason;
  }

  /** Lets the time triggers fire that are due; of several, the one that was due first names the batch. */
  fire(now: number): void {
    if (this.size > 0 && this.#timeDeadline() <= now) {
      this.#trigger ??= this.#timeTrigger();
      this.#heldSince = -Infinity;
      this.#fired++;
    }
    if (this.#tick <= now) {
      this.#tick = this.#tickAfter(now);
      this.#fired++;
      // What is due since a flush may be due no more after the next one; a tick has come and gone.
      if (this.#trigger === 'sinceFlush') this.#trigger = 'interval';
    }
  }

  /** Why the open batch is to be sealed now, or `undefined`. */
  due(): Trigger | undefined {
    if (this.size === 0 || this.entering > this.ready) return undefined;
    if (this.size >= this.limits.size) return 'size';
    if (this.weight >= this.limits.weight) return 'weight';
    if (this.#asked !== undefined) return this.#asked;
    const demand = this.#demands.peek();
    if (demand !== undefined && demand.position <= this.ready) return demand.reason;
    return this.#idle.length > 0 ? this.#trigger : undefined;
  }

  /** Seals the open batch, which must not be empty, and queues it for a lane. */
  seal(cut: Cut, reason: Trigger): void {
    cut.from = this.sealed;
    cut.to = this.ready;
    cut.size = this.size;
    cut.weight = this.weight;
    cut.reason = reason;
    this.queue.push(cut);
    this.sealed = this.ready;
    this.holes = 0;
    this.weight = 0;
    this.#trigger = undefined;
    this.#asked = undefined;
    this.#fired++;
    this.#advance();
  }

  /** Queues a batch of an earlier life: it comes before everything that is accepted in this one. */
  adopt(cut: Cut, size: number): void {
    cut.from = BEFORE + this.adopted;
    cut.to = cut.from + size;
    cut.size = size;
    cut.reason = 'recovery';
    this.adopted += size;
    this.finished -= size;
    this.queue.push(cut);
  }

  /** The batch to start now: one whose time to be tried again has come, else the oldest of the queue if a lane is idle. */
  startable(now: number): Cut | undefined {
    for (const cut of this.active) {
      if (!cut.running && (cut.deadline <= now || cut.heldAt < this.#fired)) return cut;
    }
    return this.#idle.length > 0 ? this.queue.peek() : undefined;
  }

  /** A run that has taken too long. */
  expired(now: number): Cut | undefined {
    for (const cut of this.active) if (cut.running && cut.deadline <= now) return cut;
    return undefined;
  }

  begin(cut: Cut, now: number): void {
    if (cut === this.queue.peek()) {
      this.queue.shift();
      cut.lane = this.#idle.shift() ?? -1; // startable() has seen an idle one
      this.active.push(cut);
    }
    cut.begun++;
    cut.attempt++;
    cut.startedAt = now;
    cut.deadline = now + this.limits.attempt;
    cut.heldAt = Infinity;
  }

  /** The run has answered or expired. */
  end(cut: Cut): void {
    cut.ended = cut.begun;
    cut.deadline = Infinity;
  }

  /** Tried again at `deadline`, or earlier on a demand. */
  park(cut: Cut, deadline: number): void {
    cut.deadline = deadline;
  }

  /** Tried again at the next trigger. */
  hold(cut: Cut, now: number): void {
    this.fire(now); // what was due by now does not count as the next
    cut.heldAt = this.#fired;
    this.#heldSince = now;
  }

  /** Work that follows a delivery, and needs no lane. */
  retain(cut: Cut): void {
    this.active.push(cut);
  }

  /** Its entries are delivered or given up. */
  finish(cut: Cut): void {
    this.finished += cut.size;
    cut.finished = true;
  }

  /** A batch was delivered: the time since the last flush begins anew. */
  delivered(now: number): void {
    this.lastFlush = now;
    if (this.#trigger === 'sinceFlush') this.#trigger = undefined;
  }

  /** The batch leaves, and its lane is idle again. */
  settle(cut: Cut): void {
    const index = this.active.indexOf(cut);
    if (index >= 0) this.active.splice(index, 1);
    else this.queue.remove(cut);
    if (cut.lane >= 0) this.#idle.push(cut.lane);
    cut.lane = -1;
    this.#heldSince = -Infinity;
    this.#advance();
  }

  /** The oldest sealed batch that is not running. */
  oldestWaiting(): Cut | undefined {
    let oldest = this.queue.peek();
    for (const cut of this.active) {
      if (cut.parked && !cut.finished && (oldest === undefined || cut.from < oldest.from)) oldest = cut;
    }
    return oldest;
  }

  deadline(): number {
    let earliest = this.entering > this.ready ? this.entryDeadline : Infinity;
    if (this.size > 0) earliest = Math.min(earliest, this.#timeDeadline());
    for (const cut of this.active) {
      earliest = Math.min(earliest, cut.heldAt < Infinity ? this.#tick : cut.deadline);
    }
    return earliest;
  }

  /** When time makes the open batch due; if it has done so in vain, when it does so again for a batch that is held. */
  #timeDeadline(): number {
    const { age, sinceFlush, interval } = this.limits;
    if (this.#trigger !== undefined) {
      return this.#heldSince === -Infinity ? Infinity : this.#heldSince + Math.min(age, sinceFlush);
    }
    const bySinceFlush = (this.lastFlush ?? this.openedAt) + sinceFlush;
    return Math.min(this.openedAt + age, bySinceFlush, interval < Infinity ? this.#tick : Infinity);
  }

  #timeTrigger(): Trigger {
    const deadline = this.#timeDeadline();
    if (deadline === this.openedAt + this.limits.age) return 'age';
    return deadline === this.#tick && this.limits.interval < Infinity ? 'interval' : 'sinceFlush';
  }

  #tickAfter(now: number): number {
    const { interval, jitter, random } = this.limits;
    if (interval === Infinity) return Infinity;
    const next = this.#origin + (Math.floor((now - this.#origin) / interval) + 1) * interval;
    return jitter === 0 ? next : next + random() * jitter * interval;
  }

  #advance(): void {
    if (this.size === 0) {
      this.sealed = this.ready;
      this.holes = 0;
    }
    for (let first = this.#demands.peek(); first !== undefined && first.position <= this.sealed;) {
      this.#demands.shift();
      first = this.#demands.peek();
    }
  }
}
