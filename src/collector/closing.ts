import { type Clock, within } from '../core/clock.js';
import { CloseError } from '../errors.js';
import type { Parts } from './parts.js';

/** How long the terminate hooks may take after the time of `close` is up, in milliseconds. */
const TERMINATE_GRACE = 1000;

/** Delivers or gives up what is pending, calls `batchTerminate`, and releases everything. */
export async function closeParts<Item, Batch>(
  { core, admission, reports, driver, storage, batcher }: Parts<Item, Batch>,
  clock: Clock,
  timeout: number,
  flush: boolean,
): Promise<void> {
  const deadline = clock.now() + timeout;
  const turning = admission.room.close();
  while (turning.next().done !== true);
  const { batches, entries, cause } = await core.close(timeout, flush);
  const states = batches.map(({ state }) => state);
  const terminate = async (batch: Batch | undefined): Promise<void> => {
    try {
      await batcher.batchTerminate?.(batch);
    } catch (error) {
      reports.warn('batchTerminate failed', error);
    }
  };
  const terminated = Promise.all(states.length === 0 ? [terminate(undefined)] : states.map(terminate));
  const grace = Math.max(deadline - clock.now(), TERMINATE_GRACE);
  await within(clock, grace, terminated, () => {
    reports.warn(`batchTerminate took longer than ${grace} ms`, undefined);
  });
  try {
    await storage?.end();
  } catch (error) {
    reports.warn('the storage was not closed', error);
  }
  driver.closed();
  reports.closed(entries);
  if (flush && entries > 0) throw new CloseError(entries, states, cause);
}
