import { type AddOptions, ClosedError, ItemError, OverflowError, type WaitOptions } from '../../src/index.js';
import { onAbort } from './abort.js';
import { hop } from './attempt.js';
import type { Entry } from './entry.js';
import { Group } from './group.js';
import { wrong } from './options.js';

type Verb = 'syncAddItem' | 'deliverItem';

/** Finds the key of an item, its collector, and room for it. */
export class Intake<Item, Key, Batch> extends Group<Item, Key, Batch> {
  /** The key of the present item; `undefined` if it could not be determined. */
  #key: Key | undefined;

  addNow(item: Item, options: AddOptions | undefined): boolean {
    this.start();
    const onError: unknown = options?.onError;
    if (onError != null && typeof onError !== 'function') {
      throw wrong(this.name, 'onError', 'a function', onError);
    }
    const found = this.#find(item);
    if (found instanceof Error) {
      this.#turnAway(item, found, options?.onError);
      return false;
    }
    const outer = this.handled;
    const { adding } = this.keys;
    this.handled = onError != null;
    let taken: boolean;
    try {
      this.keys.adding = found;
      taken = found.collector.addItem(item, options);
    } finally {
      this.handled = outer;
      this.keys.adding = adding;
      this.looked(found);
    }
    return taken && this.roomy;
  }

  addAwaited(verb: Verb, item: Item, options: WaitOptions | undefined): Promise<void> {
    const promise = this.#addAwaited(verb, item, options);
    promise.catch(() => undefined); // reported by event as well
    return promise;
  }

  async #addAwaited(verb: Verb, item: Item, options: WaitOptions | undefined): Promise<void> {
    this.start();
    const signal = options?.signal;
    if (signal != null && typeof signal.addEventListener !== 'function') {
      throw wrong(this.name, 'signal', 'an AbortSignal', signal);
    }
    if (signal?.aborted === true) throw signal.reason as Error;
    const found = this.#find(item);
    const waits = ['wait', 'dropOldest'].includes(this.config.overflow);
    if (!(found instanceof Error)) return this.#give(verb, found, item, options);
    if (!(found instanceof OverflowError) || !waits) {
      this.#turnAway(item, found, undefined);
      throw found;
    }
    return this.#wait(verb, item, options);
  }

  #wait(verb: Verb, item: Item, options: WaitOptions | undefined): Promise<void> {
    const key = this.#key as Key; // #find has just asked for it
    return new Promise((resolve, reject) => {
      let leave = (): void => undefined;
      const signal = options?.signal;
      const abort = (): void => {
        leave();
        reject(signal?.reason);
      };
      const off = signal == null ? (): void => undefined : onAbort(signal, abort);
      // May let the caller in at once: its demand may have made room.
      leave = this.entrance.wait(
        key,
        (entry) => {
          off();
          resolve(this.#give(verb, entry, item, options));
        },
        (error) => {
          off();
          const refusal = error instanceof ClosedError ? error : new ItemError('batcher', error);
          this.#key = key;
          this.#turnAway(item, refusal, undefined);
          reject(refusal);
        },
      );
    });
  }

  #give(verb: Verb, entry: Entry<Item, Key, Batch>, item: Item, options: WaitOptions | undefined): Promise<void> {
    const { begun } = entry;
    const { adding } = this.keys;
    this.keys.adding = entry;
    const added = entry.collector[verb](item, options);
    this.keys.adding = adding;
    this.looked(entry);
    // The item has started a batch, and there is a lane for another key: its caller need not wait for this one.
    const begins = entry.begun > begun && !entry.waiting; // if something waits, that may be the item, for its add hook
    const paced = verb === 'syncAddItem' && begins && this.lanes.free;
    return paced ? Promise.race([added, hop()]) : added; // its hook may have refused it
  }

  /** The entry of the item's key, or why it cannot be accepted. */
  #find(item: Item): Entry<Item, Key, Batch> | Error {
    this.#key = undefined;
    let key: Key;
    try {
      key = this.hooks.key?.(item) as Key; // `start` has looked for it
      if (typeof (key as { then?: unknown } | null | undefined)?.then === 'function') {
        Promise.resolve(key).then(undefined, () => undefined); // its rejection has no other receiver
        throw new TypeError('it returned a promise');
      }
    } catch (error) {
      return this.#closed() ?? new ItemError('key', error);
    }
    const found = this.#closed() ?? this.#room(key);
    this.#key = key; // making room calls user code, which may have added another item
    return found;
  }

  #closed(): ClosedError | undefined {
    return this.isShut ? new ClosedError('it takes no more items') : undefined;
  }

  #room(key: Key): Entry<Item, Key, Batch> | Error {
    try {
      const found = this.entrance.find(key);
      // A listener of the drop may have closed.
      return this.isShut ? new ClosedError('it takes no more items') : found;
    } catch (error) {
      this.entrance.admit(); // room that was made for this item goes to those that wait for it
      return new ItemError('batcher', error);
    }
  }

  #turnAway(item: Item, error: Error, onError: AddOptions['onError']): void {
    const dropped = error instanceof OverflowError && this.config.overflow === 'dropNewest';
    this.turnedAway[dropped ? 'dropped' : 'refused']++;
    if (dropped)
      this.emit('dropped', { reason: 'overflow', size: 1, error, item, key: this.#key as Key }, onError != null);
    else this.emit('refused', { item, error, key: this.#key }, onError != null);
    if (onError != null) this.events.call('onError threw', () => onError(error));
  }
}
