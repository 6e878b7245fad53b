import { Call, type Calls } from './calls.js';
import type { Op } from './types.js';
import { type Clock, afterMicrotasks, endOfTurn } from '../core/clock.js';
import { Fifo } from '../core/deque.js';
import type { Gathering } from '../core/flight.js';

/** Inside, messages are of any type; the public class gives them theirs. */
export type AnyOp = Op<unknown, unknown, unknown>;

/** A message as it waits: a bare one is a cast, so that most of them take no more than their place in the log. */
export type Entry = unknown;

/** A message that is no cast, or must not be mistaken for what it looks like. */
class Wrapped {
  constructor(readonly op: AnyOp) {}
}

export function castOf(message: unknown): Entry {
  return message instanceof Call || message instanceof Wrapped ? new Wrapped({ kind: 'cast', message }) : message;
}

export function infoOf(message: unknown): Entry {
  return new Wrapped({ kind: 'info', message });
}

/** As its handler sees it. */
export function opOf(entry: Entry): AnyOp {
  if (entry instanceof Call) return entry;
  return entry instanceof Wrapped ? entry.op : { kind: 'cast', message: entry };
}

/**
 * How often within one turn of the event loop what has gathered is taken. Whoever was answered may have sent the next
 * message already when all promise callbacks have run, and need not wait for the loop, which costs more than a small
 * batch; but the loop must turn in the end.
 */
const ROUNDS_PER_TURN = 16;

/**
 * A clock that stands still while what has gathered is taken: reading the real one takes as long as the rest of a small
 * batch, and nothing that happens meanwhile needs it.
 */
class TurnClock implements Clock {
  readonly #clock: Clock;
  #now = NaN;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  stop(now: number): void {
    this.#now = now;
  }

  go(): void {
    this.#now = NaN;
  }

  now(): number {
    return Number.isNaN(this.#now) ? this.#clock.now() : this.#now;
  }

  setTimer(fn: () => void, ms: number): unknown {
    return this.#clock.setTimer(fn, ms);
  }

  clearTimer(handle: unknown): void {
    this.#clock.clearTimer(handle);
  }
}

/** Where messages gather until a turn of the event loop ends, and where groups of them lie that belong together. */
export class Mailbox implements Gathering {
  readonly most = Infinity;
  readonly whenIdle = true;
  readonly endOfGroup: ((to: number) => number) | undefined;
  /** For the engine. */
  readonly time: TurnClock;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #groups = new Fifo<{ from: number; to: number }>();
  #take: (() => void) | undefined;
  /** Somebody waits for the end of the turn, if only for his patience to begin. */
  #wanted = false;
  #callOff: (() => void) | undefined;
  #rounds = 0;
  /** The next round comes by itself. */
  #comes = false;

  constructor(clock: Clock, calls: Calls, hardLimit: boolean) {
    this.#clock = clock;
    this.time = new TurnClock(clock);
    this.#calls = calls;
    this.endOfGroup = hardLimit ? undefined : (to) => this.#endOfGroup(to);
  }

  readonly soon = (take: () => void): void => {
    this.#take = take;
    this.awaitEndOfTurn();
  };

  /** At the end of this turn of the event loop what waits is taken, and the patience of new callers begins. */
  awaitEndOfTurn(): void {
    this.#wanted = true;
    if (!this.#comes) this.#callOff ??= endOfTurn(this.#clock, this.#onEndOfTurn);
  }

  /** Calls it off. */
  rest(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  /** What is accepted from one position to the other is not to be torn apart. */
  group(from: number, to: number): void {
    if (this.endOfGroup !== undefined) this.#groups.push({ from, to });
  }

  readonly #onEndOfTurn = (): void => {
    this.#callOff = undefined;
    this.#rounds = ROUNDS_PER_TURN;
    this.#round();
  };

  #round(): void {
    const take = this.#take;
    const now = this.#clock.now();
    this.#take = undefined;
    this.#wanted = false;
    this.#calls.turnEnded(now);
    // What is asked for meanwhile, is asked for again by the next round.
    this.#comes = take !== undefined && --this.#rounds > 0 && afterMicrotasks(this.#onMicrotasks);
    this.time.stop(now);
    take?.();
    this.time.go();
    // Those who were answered at once need no alarm.
    this.#calls.watch();
  }

  readonly #onMicrotasks = (): void => {
    this.#comes = false;
    if (this.#wanted) this.#round();
  };

  #endOfGroup(to: number): number {
    let first = this.#groups.peek();
    while (first !== undefined && first.to < to) {
      this.#groups.shift();
      first = this.#groups.peek();
    }
    return first !== undefined && first.from < to ? first.to : to;
  }
}
