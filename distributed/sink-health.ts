import type { Clock } from '../src/index.js';
import type { Evidence } from './verdict.js';

/** With so many different messages failing in a row the sink is to blame, not they. */
const outageAfter = 5;
/** Messages remembered as having failed; older ones are forgotten, and are then blamed later. */
const mostRemembered = 10_000;

export interface HealthActions {
  /** Tries what the collector holds once more. */
  flushHeld(): void;
  /** Takes back what the collector holds: single items that fail while there is nothing else to deliver. */
  takeBack(): void;
}

/** Distinguishes an item that cannot be delivered from a sink that is down, by the successes in between. */
export class SinkHealth {
  /** Items delivered. */
  successes = 0;
  readonly #clock: Clock;
  readonly #backoff: (attempt: number) => number;
  readonly #actions: HealthActions;
  /** Messages that failed since the last success. */
  readonly #failing = new Set<string>();
  /** For each message that failed here: how many items had been delivered by its last failure, and its strikes. */
  readonly #failures = new Map<string, { successes: number; strikes: number }>();
  /** How often something was held since the last success. */
  #holding = 0;
  #onlySingles = true;
  #timer: unknown;

  constructor(clock: Clock, backoff: (attempt: number) => number, actions: HealthActions) {
    this.#clock = clock;
    this.#backoff = backoff;
    this.#actions = actions;
  }

  success(): void {
    this.successes++;
    this.#holding = 0;
    if (this.#failing.size > 0) this.#failing.clear();
  }

  /** The collector keeps a batch until something triggers it; in a quiet hour nothing else would. */
  held(size: number): void {
    if (size > 1) this.#onlySingles = false;
    if (this.#timer !== undefined) return;
    this.#holding++;
    this.#timer = this.#clock.setTimer(
      () => {
        this.#timer = undefined;
        // After a success what is held is tried again first: it failed before.
        const takeBack = this.#holding > 1 && this.#onlySingles;
        this.#onlySingles = true;
        if (takeBack) {
          this.#holding = 0;
          this.#actions.takeBack();
        } else this.#actions.flushHeld();
      },
      this.#backoff(Math.min(this.#holding, 10)),
    );
  }

  /**
   * `failed` names a message of which nothing was delivered, `alone` says that it was a single item, tried alone, and
   * `taken` how many items had been delivered when it was taken.
   */
  evidence(failed: string | undefined, alone: boolean, taken: number): Omit<Evidence, 'maxDeliveries' | 'splits'> {
    if (failed !== undefined) this.#failing.add(failed);
    return {
      worksMeanwhile: this.successes > taken,
      strikes: failed === undefined || !alone ? 0 : this.#strike(failed, taken),
      // A process that has delivered nothing yet may have begun in an outage.
      outage: this.successes === 0 || this.#holding > 0 || this.#failing.size >= outageAfter,
    };
  }

  #strike(id: string, taken: number): number {
    const before = this.#failures.get(id);
    const strikes = before === undefined ? 0 : before.strikes + (taken > before.successes ? 1 : 0);
    this.#failures.delete(id); // So that it is among the youngest.
    this.#failures.set(id, { successes: this.successes, strikes });
    if (this.#failures.size > mostRemembered) {
      for (const oldest of this.#failures.keys()) {
        this.#failures.delete(oldest);
        break;
      }
    }
    return strikes;
  }

  /** Milliseconds to wait before the next message is taken. */
  get pause(): number {
    const failing = this.#failing.size - outageAfter;
    return failing < 0 ? 0 : this.#backoff(Math.min(failing + 1, 10));
  }

  forget(id: string): void {
    this.#failures.delete(id);
  }

  stop(): void {
    this.#clock.clearTimer(this.#timer);
  }
}
