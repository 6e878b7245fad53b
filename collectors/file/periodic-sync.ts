import type { LiveFile } from './live-file.js';
import type { SpoolConfig } from './spool-config.js';
import { type Turns, asError } from './writing.js';

/** Bytes; with more that are not synced a sync does not wait for the interval. */
const SYNC_EARLY = 8 * 1024 * 1024;

/** Syncs a file that takes items once per interval, and repairs it where that fails. */
export class PeriodicSync<Item> {
  readonly #live: LiveFile<Item>;
  readonly #turns: Turns;
  readonly #config: SpoolConfig<Item>;
  #running: Promise<void> | undefined;
  #timer: unknown;
  #stopped = false;

  constructor(live: LiveFile<Item>, turns: Turns, config: SpoolConfig<Item>) {
    this.#live = live;
    this.#turns = turns;
    this.#config = config;
  }

  /** Resolves when no sync runs any more. */
  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Something was written or cut off. */
  changed(): void {
    if (this.#live.kept.bytes > SYNC_EARLY) void this.#sync();
    else this.#later();
  }

  /** No sync begins any more. */
  stop(): void {
    this.#stopped = true;
    this.forget();
  }

  /** There is nothing to sync. */
  forget(): void {
    if (this.#timer !== undefined) this.#config.clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  #later(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const { clock, syncInterval } = this.#config;
    this.#timer = clock.setTimer(() => {
      this.#timer = undefined;
      void this.#sync();
    }, syncInterval);
    // What waits for its sync is written already: the process may end.
    (this.#timer as { unref?: () => void } | undefined)?.unref?.();
  }

  async #sync(): Promise<void> {
    if (this.#live.file === undefined || this.#running !== undefined || this.#stopped) return;
    this.forget();
    this.#running = this.#syncOrRestore();
    await this.#running;
    this.#running = undefined;
    if (this.#live.dirty) this.#later();
  }

  /** Never rejects: while it fails, adds are refused, and it is tried again with the next of them, and after the interval. */
  async #syncOrRestore(): Promise<void> {
    const live = this.#live;
    try {
      const damage = live.failure ?? live.seenDamage();
      if (damage !== undefined) throw damage;
      await live.sync();
    } catch (error) {
      const failure = asError(error);
      live.failure = failure;
      const restored = this.#turns.take(() => (live.failure === failure ? live.restore(failure) : undefined));
      await Promise.resolve(restored).catch(() => {
        this.#later();
      });
    }
  }
}
