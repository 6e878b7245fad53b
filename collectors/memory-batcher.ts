import { BatchPlease, type BatchPleaseOptions } from '../src/index.js';

/** The batch of a `MemoryBatcher`. */
export interface MemoryBatch<Item> {
  /** The items, in the order of arrival. */
  items: Item[];
}

/** Collects items in an array. Give it a `batchFlush`, as an option or in a subclass. */
export class MemoryBatcher<Item> extends BatchPlease<Item, MemoryBatch<Item>> {
  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- its options then infer Item in `new`
  constructor(options?: BatchPleaseOptions<Item, MemoryBatch<Item>>) {
    super(options);
  }

  override batchInit(): MemoryBatch<Item> {
    return { items: [] };
  }

  override batchAddItem(batch: MemoryBatch<Item>, item: Item): void {
    batch.items.push(item);
  }

  override batchSplit({ items }: MemoryBatch<Item>, indexes: readonly number[]): MemoryBatch<Item> {
    const wanted = new Set(indexes);
    const taken = items.filter((_, index) => wanted.has(index));
    // In place: a flush of the user may still read `items`.
    const kept = items.filter((_, index) => !wanted.has(index));
    items.splice(0, items.length);
    for (const item of kept) items.push(item);
    return { items: taken };
  }
}
