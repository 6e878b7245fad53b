import type { BatchFile } from './batch-file.js';

/** Syncs files that were found, one after the other, in the background: their delivery then need not wait for it. */
export class SyncAhead<Item> {
  readonly #waiting = new Set<BatchFile<Item>>();
  #running: Promise<void> | undefined;
  #stopped = false;

  add(batch: BatchFile<Item>): void {
    if (this.#stopped) return;
    this.#waiting.add(batch);
    this.#running ??= this.#run();
  }

  forget(batch: BatchFile<Item>): void {
    this.#waiting.delete(batch);
  }

  /** Begins no other sync; resolves when the one under way has ended, and its descriptor is closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const batch of this.#waiting) {
      this.#waiting.delete(batch);
      await (batch.over ? undefined : batch.syncFound().catch(() => undefined)); // its delivery tries again
    }
    this.#running = undefined;
  }
}
