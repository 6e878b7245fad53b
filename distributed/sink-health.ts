import type { Clock } from '../src/index.js';

/** With so many different messages failing in a row the sink is to blame, not they. */
const outageAfter = 5;
/** Messages remembered as having failed; older ones are forgotten, and are then blamed later. */
const mostRemembered = 10_000;

/** Tells an item that cannot be delivered from a sink that is down: by what succeeds in between. */
export class SinkHealth {
  readonly #clock: Clock;
  readonly #backoff: (attempt: number) => number;
  readonly #retryHeld: () => void;
  /** Messages that failed since the last success. */
  readonly #failing = new Set<string>();
  /** When each message failed for the first time here. */
  readonly #failedAt = new Map<string, number>();
  #lastSuccess = -Infinity;
  #holding = 0;
  #timer: unknown;

  constructor(clock: Clock, backoff: (attempt: number) => number, retryHeld: () => void) {
    this.#clock = clock;
    this.#backoff = backoff;
    this.#retryHeld = retryHeld;
  }

  success(): void {
    this.#lastSuccess = this.#clock.now();
    this.#holding = 0;
    if (this.#failing.size > 0) this.#failing.clear();
  }

  /** The collector keeps a batch until something triggers it; in a quiet hour nothing else would. */
  held(): void {
    this.#holding++;
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimer(
      () => {
        this.#timer = undefined;
        this.#retryHeld();
      },
      this.#backoff(Math.min(this.#holding, 10)),
    );
  }

  /** `failed` names a message of which nothing was delivered. */
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
      worksMeanwhile: this.#lastSuccess >= taken,
      workedSince: firstFailure !== undefined && this.#lastSuccess >= firstFailure,
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
    this.#failedAt.set(id, this.#clock.now());
    if (this.#failedAt.size <= mostRemembered) return;
    for (const oldest of this.#failedAt.keys()) {
      this.#failedAt.delete(oldest);
      break;
    }
  }
}
