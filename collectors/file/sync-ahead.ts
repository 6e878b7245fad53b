import type { BatchFile } from './batch-file.js';

/** Syncs files that were found, one after the other, in the background: their delivery then need not wait for it. */
export class SyncAhead<Item> {
  readonly #waiting = new Set<BatchFile<Item>>();
  #running = false;
  #stopped = false;

  add(batch: BatchFile<Item>): void {
    this.#waiting.add(batch);
    if (!this.#running) void this.#run();
  }

  forget(batch: BatchFile<Item>): void {
    this.#waiting.delete(batch);
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (const batch of this.#waiting) {
      this.#waiting.delete(batch);
      if (!batch.over) await batch.syncFound().catch(() => undefined); // its delivery tries again
      if (this.#stopped) break;
    }
    this.#running = false;
  }
}
