import type { Clock } from 'batch-please';
import type { Plan } from './plan.js';
import { nextInLine } from './line.js';
import type { Ask, Closing, Delivery, Demand, Fate, Item, State } from './records.js';

/**
 * What a naive batcher would know: every item with its fate, every batch with its attempts, every caller that waits. It is
 * fed by the calls, the hooks and the events, and never asks the batcher anything but how many items are pending.
 */
export class Model {
  readonly violations: string[] = [];
  readonly items: Item[] = [];
  /** Items in the order in which they joined. */
  readonly joined: Item[] = [];
  /** Calls that wait for room, oldest first. */
  readonly waiting: Item[] = [];
  readonly deliveries = new Map<string, Delivery>();
  readonly byState = new Map<State, Delivery>();
  readonly asks: Ask[] = [];
  readonly demands: Demand[] = [];
  readonly flushTimes: number[] = [];
  readonly weighed: { seq: number; weight: number }[] = [];
  readonly terminated: (State | undefined)[] = [];
  readonly closedEvents: { undelivered: number }[] = [];
  readonly counts = { refused: 0, dropped: 0, flushes: 0, delivered: 0 };
  /** Errors that hooks have thrown. */
  readonly hookErrors = new Set<unknown>();
  /** Dropped while it closes. */
  readonly droppedLate: Item[] = [];
  /** Given to `batchDeadLetter`; the `dropped` event has not come yet. */
  readonly handed: Delivery[] = [];
  /** The entry whose init or add hook has not answered. */
  onTheWay: { since: number } | undefined;
  /** When the batcher last became able to start or to cut something. */
  busyEnd = -1;
  /** A hook hangs, and nothing will end that. */
  stuck = false;
  lastJoined: number | undefined;
  /** `shouldFlush` has returned true. */
  wantedSeq = -1;
  overflowSeq = -1;
  givenUpSeq = -1;
  /** A caller last waited for room, or an item made room for itself. */
  crowdSeq = -1;
  /** All lanes have been occupied since then; Infinity if one is free. */
  fullSeq = Infinity;
  refusedByClose = 0;
  /** Items that `batchTerminate` may see, although they were refused. */
  readonly heldAllTheSame = new Set<number>();
  closing: Closing | undefined;
  #seq = 0;
  /** Items that are pending; that were ever accepted; that were turned away. */
  #pending = 0;
  #accepted = 0;
  #turnedAway = 0;

  constructor(
    readonly plan: Plan,
    readonly clock: Clock,
    readonly trace: ((line: string) => void) | undefined,
  ) {}

  get now(): number {
    return this.clock.now();
  }

  next(): number {
    return ++this.#seq;
  }

  note(text: string): void {
    this.trace?.(`${this.now.toFixed(3).padStart(9)}  ${text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}-/g, '#')}`);
  }

  bad(text: string): void {
    this.violations.push(`at ${this.now}: ${text}`);
    this.note(`!! ${text}`);
  }

  // Items

  item(id: number): Item {
    const item = this.items[id];
    if (item === undefined) throw new Error(`no item ${String(id)}`);
    return item;
  }

  call(verb: string, weight: number, signal: AbortSignal | undefined): Item {
    const { now } = this;
    const seq = this.next();
    const item: Item = {
      ...{ id: this.items.length, weight, verb, signal, seq, fate: 'called', from: now, to: now, acceptedSeq: seq },
      ...{
        joined: -1,
        joinedSeq: -1,
        joinedAt: Infinity,
        batch: undefined,
        outcome: 'none',
        returnedSeq: Infinity,
        heard: undefined,
      },
    };
    this.items.push(item);
    return item;
  }

  /** Accepted, and not settled as far as the model knows. */
  get pending(): number {
    return this.#pending;
  }

  count(fate: Fate): number {
    let n = 0;
    for (const item of this.items) if (item.fate === fate) n++;
    return n;
  }

  /**
   * The batcher says how many items were ever added: if that is more than the model knows, calls have been accepted
   * meanwhile. First those that waited for room, in their order; then the call that is under way.
   */
  sync(totalItems: number): void {
    for (let more = totalItems - this.#accepted - this.#turnedAway; more > 0; more--) {
      const item = nextInLine(this);
      if (item === undefined) {
        this.bad(`${totalItems} items were added, ${more} more than calls say`);
        return;
      }
      this.accept(item);
    }
    for (const item of this.waiting) item.from = this.now;
    if (this.waiting.length > 0) this.crowdSeq = this.next();
  }

  accept(item: Item): void {
    if (item.fate === 'waiting') this.waiting.splice(this.waiting.indexOf(item), 1);
    if (this.closing !== undefined && item.seq > this.closing.seq) this.bad(`item ${item.id} was taken after close`);
    item.fate = 'accepted';
    item.to = this.now;
    item.acceptedSeq = this.next();
    this.#accepted++;
    this.#pending++;
    if (this.#pending > this.plan.maxPending) this.bad(`item ${item.id} was taken beyond maxPending`);
  }

  wait(item: Item): void {
    item.fate = 'waiting';
    const behind = this.waiting.findIndex(({ seq }) => seq > item.seq);
    this.waiting.splice(behind < 0 ? this.waiting.length : behind, 0, item);
    this.crowdSeq = this.next();
  }

  /** A pending item's end. */
  finish(item: Item, fate: 'delivered' | 'refused' | 'dropped'): void {
    if (item.fate === 'accepted') this.#pending--;
    else this.bad(`item ${item.id} is ${fate}, it was ${item.fate}`);
    item.fate = fate;
  }

  /** The end of an item that was never accepted. */
  turnAway(item: Item, fate: 'refused' | 'dropped' | 'away'): void {
    if (item.fate === 'waiting') this.waiting.splice(this.waiting.indexOf(item), 1);
    else if (item.fate !== 'called') this.bad(`item ${item.id} is turned away, it is ${item.fate}`);
    if (fate !== 'away') this.#turnedAway++;
    item.fate = fate;
  }

  /** Has joined no batch that the sink has seen. */
  get loose(): Item[] {
    return this.items.filter((item) => item.fate === 'accepted' && item.batch === undefined);
  }

  join(item: Item): void {
    const previous = this.joined.at(-1);
    if (previous !== undefined && previous.acceptedSeq > item.acceptedSeq)
      this.bad(`item ${item.id} joins after item ${previous.id}, which was accepted later`);
    item.joined = this.joined.length;
    item.joinedSeq = this.next();
    item.joinedAt = this.now;
    this.joined.push(item);
    this.lastJoined = item.id;
  }

  /** Its hook has answered, but by a promise that has not reached the collector: it is refused, although its batch holds it. */
  unheard(item: Item): void {
    if (this.joined.pop() !== item) this.bad(`item ${item.id} is refused behind its time`);
    this.lastJoined = this.joined.at(-1)?.id;
    this.heldAllTheSame.add(item.id);
  }

  arrived(): void {
    if (this.onTheWay !== undefined) this.busyEnd = this.now;
    this.onTheWay = undefined;
  }

  demand(kind: Demand['kind']): void {
    this.demands.push({ seq: this.next(), at: this.now, kind });
  }

  // Batches

  get lanes(): number {
    let lanes = 0;
    for (const delivery of this.deliveries.values()) if (delivery.lane) lanes++;
    return lanes;
  }

  get free(): boolean {
    return this.lanes < this.plan.lanes;
  }

  occupy(delivery: Delivery): void {
    const { free } = this;
    delivery.lane = true;
    delivery.phaseSeq = this.next();
    // Its first start: a caller that its first attempt has let go may see that during the second.
    if (delivery.startedSeq < 0) delivery.startedSeq = delivery.phaseSeq;
    if (free && !this.free) this.fullSeq = delivery.phaseSeq;
  }

  release(delivery: Delivery): void {
    if (delivery.lane && !this.free) {
      this.busyEnd = this.now;
      this.fullSeq = Infinity;
    }
    delivery.lane = false;
  }

  move(delivery: Delivery, phase: Delivery['phase'], retryAt = Infinity): void {
    delivery.phase = phase;
    delivery.retryAt = retryAt;
    delivery.phaseSeq = this.next();
  }

  leave(delivery: Delivery): void {
    delivery.phase = 'left';
    this.release(delivery);
    for (const item of delivery.items) this.abandon(item);
  }

  /** Close gives it up: it stays pending for ever. */
  abandon(item: Item): void {
    if (item.fate === 'accepted') this.#pending--;
    item.fate = 'left';
  }

  /** What close does not deliver any more, whatever the sink does. */
  get abandoned(): boolean {
    const { closing } = this;
    return (
      closing !== undefined &&
      (!closing.flush || this.now >= closing.at + closing.timeout || closing.outcome !== 'pending')
    );
  }
}
