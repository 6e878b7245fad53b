import { type Clock, endOfTurn } from '../core/clock.js';
import { RESOLVED } from '../core/promise.js';

/** The work at the end of a turn of the event loop. */
export interface Work {
  /** Whether `run` will take messages. */
  readonly takes: boolean;
  /** At `now`, by the server's clock. Must not throw. */
  run(now: number): void;
}

/**
 * Rounds per turn of the event loop. A caller that was answered may have sent its next message by the time all promise
 * callbacks have run; handling it then saves the wait for the event loop, which costs more than a small batch. The loop
 * must turn in the end, so that timers and sockets are served.
 */
const ROUNDS_PER_TURN = 16;

/** Decides when messages are taken: at the end of a turn of the event loop, and a few times more before it turns. */
export class Rounds {
  readonly #clock: Clock;
  readonly #work: Work;
  /** A round was asked for. */
  #wanted = false;
  #cancel: (() => void) | undefined;
  /** Rounds left in this turn. */
  #left = 0;
  /** The next round is scheduled for after the promise callbacks. */
  #repeats = false;
  #resting = false;

  constructor(clock: Clock, work: Work) {
    this.#clock = clock;
    this.#work = work;
  }

  /** Whether a round will come. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Asks for a round. Costs nothing if one was asked for already. */
  want(): void {
    if (this.#wanted || this.#resting) return;
    this.#wanted = true;
    if (!this.#repeats && this.#cancel === undefined) this.#schedule();
  }

  /** No rounds from now on. */
  rest(): void {
    this.#resting = true;
    this.#wanted = false;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    try {
      this.#cancel = endOfTurn(this.#clock, this.#onEndOfTurn);
    } catch {
      // Globals may have been replaced by what throws. A round too early is better than none.
      void Promise.resolve().then(this.#onEndOfTurn);
    }
  }

  readonly #onEndOfTurn = (): void => {
    this.#cancel = undefined;
    this.#left = ROUNDS_PER_TURN;
    this.#round();
  };

  readonly #onMicrotasks = (): void => {
    this.#repeats = false;
    if (this.#wanted) this.#round();
  };

  #round(): void {
    if (this.#resting) return;
    this.#wanted = false;
    // Before the work, which asks for the next round.
    this.#repeats = this.#work.takes && --this.#left > 0 && afterMicrotasks(this.#onMicrotasks);
    this.#work.run(this.#clock.now());
  }
}

/** Calls `fn` when all promise callbacks that are due have run, before the event loop turns; `false` where it cannot. */
function afterMicrotasks(fn: () => void): boolean {
  const { process } = globalThis as { process?: { nextTick?: (fn: () => void) => void } };
  if (typeof process?.nextTick !== 'function') return false;
  // A tick that is asked for by a promise callback comes after all of these; any other would come before them.
  void RESOLVED.then(() => {
    process.nextTick?.(fn);
  });
  return true;
}
