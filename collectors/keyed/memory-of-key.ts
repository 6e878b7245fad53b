import { MemoryBatcher } from '../memory-batcher.js';

/** Default collector of a key. Its `dropOldest` is for the overflow policy, which looks at all keys. */
export class MemoryOfKey<Item> extends MemoryBatcher<Item> {
  static {
    // For messages about options and hooks.
    Object.defineProperty(this, 'name', { value: 'KeyedBatcher' });
  }

  override dropOldest(error: Error): boolean {
    return super.dropOldest(error);
  }
}
