import type { BatchFile } from './batch-file.js';

/** Sealed files that wait for their sync, each with its descriptor; with more, a new file waits. */
const MOST_SEALING = 8;

/** Seals files as soon as their batches are full, so that a batch that waits for the sink holds no descriptor. */
export class Sealing<Item> {
  #open: BatchFile<Item> | undefined;
  readonly #sealing = new Set<Promise<void>>();
  readonly #sealed: (batch: BatchFile<Item>) => void;

  constructor(sealed: (batch: BatchFile<Item>) => void) {
    this.#sealed = sealed;
  }

  /** A new batch begins: the one before takes no more items. Resolves, or returns nothing, when the new one may have a file. */
  begin(batch: BatchFile<Item>): Promise<void> | undefined {
    const before = this.#open;
    this.#open = batch;
    if (before !== undefined) this.#seal(before);
    if (this.#sealing.size < MOST_SEALING) return undefined;
    return Promise.race(this.#sealing).catch(() => undefined);
  }

  /** Every file with a descriptor is left as it is. */
  async release(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await Promise.allSettled([open?.release(), ...this.#sealing]);
  }

  forget(batch: BatchFile<Item>): void {
    if (this.#open === batch) this.#open = undefined;
  }

  #seal(batch: BatchFile<Item>): void {
    // One that fails is tried again before the batch is delivered.
    const sealing: Promise<void> = batch
      .seal()
      .then(() => {
        this.#sealed(batch);
      })
      .catch(() => undefined)
      .finally(() => this.#sealing.delete(sealing));
    this.#sealing.add(sealing);
  }
}
