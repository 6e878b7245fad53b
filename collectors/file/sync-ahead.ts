import type { BatchFile } from './batch-file.js';

/**
 * Syncs files that were found, or whose sync has failed when they were sealed, one after the other, in the background: their
 * delivery then need not wait for it.
 */
export class SyncAhead<Item> {
  readonly #waiting = new Set<BatchFile<Item>>();
  /** Their sync has failed; it is tried again before they are delivered, and at the end. */
  readonly #failed = new Set<BatchFile<Item>>();
  #running: Promise<void> | undefined;
  #stopped = false;

  add(batch: BatchFile<Item>): void {
    if (this.#stopped) return;
    this.#waiting.add(batch);
    this.#running ??= this.#run();
  }

  forget(batch: BatchFile<Item>): void {
    this.#waiting.delete(batch);
    this.#failed.delete(batch);
  }

  /** Its file is handed over: it is synced one after the other as well, at the latest at the end. */
  addLast(batch: BatchFile<Item>): void {
    this.#failed.add(batch);
    this.add(batch);
  }

  failed(batch: BatchFile<Item>): void {
    this.#failed.add(batch);
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
      await this.sync(batch);
    }
    this.#running = undefined;
  }

  /** Afterwards the files that outlast this process are on the disk, if that takes them. */
  async finish(): Promise<void> {
    await this.stop();
    for (const batch of this.#failed) {
      this.#failed.delete(batch);
      if (!(await this.sync(batch))) return;
    }
  }

  /** Answers whether it is on the disk, as durably as asked; if not, it is tried again at the end. */
  async sync(batch: BatchFile<Item>): Promise<boolean> {
    try {
      await batch.sync();
      this.#failed.delete(batch);
      return true;
    } catch {
      this.failed(batch);
      return false;
    }
  }
}
