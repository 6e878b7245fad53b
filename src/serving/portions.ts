import { type Clock, endOfTurn } from '../core/clock.js';
import { Deque } from '../core/deque.js';
import { Deferred, RESOLVED } from '../core/promise.js';

/** Callers that are settled per turn of the event loop: some milliseconds of work, with what their callers do then. */
const PORTION = 1024;

/** Each step settles some callers, and yields their number. It calls no user code, and never throws. */
export type Work = Generator<number, void>;

/**
 * Settles callers who leave at the same time: in the order in which they were added, and as many per turn of the event loop
 * as do not block it. Few are settled at once.
 */
export class Portions {
  readonly #clock: Clock;
  readonly #begin: () => void;
  readonly #end: () => void;
  readonly #works = new Deque<Work>();
  /** Callers that were settled since a turn was seen to end. */
  #settled = 0;
  #turnEnds = false;
  #emptied: Deferred | undefined;

  /** `begin` is called before the first step, and `end`, which may call user code, when nothing is left. */
  constructor(clock: Clock, begin: () => void, end: () => void) {
    this.#clock = clock;
    this.#begin = begin;
    this.#end = end;
  }

  /** Whether some still wait for their turn. */
  get busy(): boolean {
    return this.#works.length > 0;
  }

  add(work: Work): void {
    const { busy } = this;
    this.#works.push(work);
    if (busy) return;
    this.#begin();
    this.#run();
  }

  /** Resolves when nothing is left. */
  emptied(): Promise<void> {
    if (!this.busy) return RESOLVED;
    this.#emptied ??= new Deferred();
    return this.#emptied.promise;
  }

  #run(): void {
    for (let work = this.#works.peek(); work !== undefined; work = this.#works.peek()) {
      if (this.#settled >= PORTION) return; // the rest at the end of the turn
      const step = work.next();
      if (step.done === true) this.#works.shift();
      else this.#count(step.value);
    }
    this.#end();
    const emptied = this.#emptied;
    if (this.busy) return; // more was added meanwhile
    this.#emptied = undefined;
    emptied?.resolve();
  }

  /** The end of a turn is looked for only after half a portion: those who leave one by one cost no look at all. */
  #count(settled: number): void {
    this.#settled += settled;
    if (this.#turnEnds || this.#settled < PORTION / 2) return;
    this.#turnEnds = true;
    endOfTurn(this.#clock, () => {
      this.#turnEnds = false;
      this.#settled = 0;
      if (this.busy) this.#run();
    });
  }
}
