import type { Clock } from '../src/index.js';

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
  /** How many items had been delivered when each message failed here for the first time. */
  readonly #failedAt = new Map<string, number>();
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
    const singles = this.#holding > 1;
    this.#timer = this.#clock.setTimer(
      () => {
        this.#timer = undefined;
        const takeBack = singles && this.#onlySingles;
        this.#onlySingles = true;
        if (takeBack) this.#actions.takeBack();
        else this.#actions.flushHeld();
      },
      this.#backoff(Math.min(this.#holding, 10)),
    );
  }

  /**
   * `failed` names a message of which nothing was delivered, and `taken` how many items had been delivered when it was
   * taken.
   */
  evidence(
    failed: string | undefined,
    taken: number,
  ): { worksMeanwhile: boolean; workedSince: boolean; outage: boolean } {
    const firstFailure = failed === undefined ? undefined : this.#failedAt.get(failed);
    if (failed !== undefined) {
      this.#failing.add(failed);
      if (firstFailure === undefined) this.#remember(failed);
    }
    return {
      worksMeanwhile: this.successes > taken,
      workedSince: firstFailure !== undefined && taken > firstFailure,
      outage: this.#holding > 0 || this.#failing.size >= outageAfter,
    };
  }

  /** Milliseconds to wait before the next message is taken. */
  get pause(): number {
    const failing = this.#failing.size - outageAfter;
    return failing < 0 ? 0 : this.#backoff(Math.min(failing + 1, 10));
  }

  forget(id: string): void {
    this.#failedAt.delete(id);
  }

  stop(): void {
    this.#clock.clearTimer(this.#timer);
  }

  #remember(id: string): void {
    this.#failedAt.set(id, this.successes);
    if (this.#failedAt.size <= mostRemembered) return;
    for (const oldest of this.#failedAt.keys()) {
      this.#failedAt.delete(oldest);
      break;
    }
  }
}
