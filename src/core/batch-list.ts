import type { Batch } from './batch.js';

/** Batches that are not settled, in the order of the log. Linked, so that one leaves from anywhere at constant cost. */
export class BatchList<State> {
  first: Batch<State> | undefined;
  last: Batch<State> | undefined;

  /** Behind `after`; as the first without it. */
  insert(batch: Batch<State>, after: Batch<State> | undefined): void {
    const next = after === undefined ? this.first : after.next;
    batch.previous = after;
    batch.next = next;
    if (after === undefined) this.first = batch;
    else after.next = batch;
    if (next === undefined) this.last = batch;
    else next.previous = batch;
  }

  has(batch: Batch<State>): boolean {
    return batch.previous !== undefined || this.first === batch;
  }

  remove(batch: Batch<State>): void {
    if (!this.has(batch)) return;
    const { previous, next } = batch;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    batch.previous = undefined;
    batch.next = undefined;
  }

  *[Symbol.iterator](): IterableIterator<Batch<State>> {
    for (let batch = this.first; batch !== undefined;) {
      const { next } = batch; // the batch may leave meanwhile
      yield batch;
      batch = next;
    }
  }
}
