import { hush, ignorableRejection, onAbort } from '../core/promise.js';
import { optionsError } from '../options/check.js';
import type { Until } from './append-hooks.js';
import type { Parts } from './parts.js';
import type { AddOptions, Prepared, WaitOptions } from './types.js';

/** Takes an item without waiting; `true` if it was accepted. */
export function addNow<Item, Batch>(parts: Parts<Item, Batch>, item: Item, onError: AddOptions['onError']): boolean {
  const { core, queue, admission, storage } = parts;
  if (onError != null && typeof onError !== 'function') {
    throw optionsError('addItem', 'onError', 'a function', onError);
  }
  const entry = admission.prepare(item, onError != null);
  const refusal = admission.refusalOf(item, entry, onError != null);
  if (refusal !== undefined) {
    callBack(parts, onError, refusal);
    return false;
  }
  storage?.accepted(entry as Prepared<Item>);
  if (onError == null) {
    queue.add(entry as Item);
    admission.accepted();
    return true;
  }
  const position = core.accepted;
  const delivered = queue.addUntil(entry as Item, 'delivered', true);
  admission.accepted();
  const refused = queue.refusalOf(position);
  if (refused !== undefined) callBack(parts, onError, refused);
  else {
    delivered.then(undefined, (error: unknown) => {
      callBack(parts, onError, error as Error);
    });
  }
  return true;
}

/** Takes an item, or waits for room; the promise rejects only if the item will never be delivered. */
export function addAwaited<Item, Batch>(
  parts: Parts<Item, Batch>,
  item: Item,
  until: Until,
  options: WaitOptions | undefined,
): Promise<void> {
  const { queue, admission, storage, batcher } = parts;
  const signal = options?.signal;
  if (signal != null && typeof signal.addEventListener !== 'function') {
    return ignorableRejection(optionsError(batcher.constructor.name, 'signal', 'an AbortSignal', signal));
  }
  if (signal?.aborted === true) return ignorableRejection(signal.reason);
  const entry = admission.prepare(item, false);
  const stored = until === 'joined' && batcher.batchAddItems != null;
  if (!admission.takes(entry)) {
    const enter = (): Promise<void> => {
      storage?.accepted(entry as Prepared<Item>);
      return queue.addUntil(entry as Item, stored ? 'stored' : until);
    };
    const waiting = admission.wait(item, entry, enter, signal);
    if (waiting !== undefined) {
      admission.update(queue.fast);
      return abortable(waiting, signal);
    }
    const refusal = admission.refusalOf(item, entry, false);
    if (refusal !== undefined) return ignorableRejection(refusal);
  }
  storage?.accepted(entry as Prepared<Item>);
  const added = abortable(queue.addUntil(entry as Item, stored ? 'stored' : until), signal);
  admission.accepted();
  return added;
}

function callBack<Item, Batch>({ reports }: Parts<Item, Batch>, onError: AddOptions['onError'], error: Error): void {
  const report = (thrown: unknown): void => {
    reports.warn('onError threw', thrown);
  };
  try {
    hush(onError?.(error), report);
  } catch (thrown) {
    report(thrown);
  }
}

/**
 * The promise, unless the caller's signal aborts first: then it rejects with the signal's reason, as the platform does.
 * The result may be ignored.
 */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal == null) return promise;
  const raced = new Promise<T>((resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    const done = onAbort(signal, () => {
      reject(signal.reason as Error);
    });
    promise.then(
      (value) => {
        done();
        resolve(value);
      },
      (error: unknown) => {
        done();
        reject(error);
      },
    );
  });
  raced.catch(() => undefined);
  return raced;
}
