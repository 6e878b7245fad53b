import { CloseError } from '../../src/index.js';
import type { Keys } from './keys.js';
import type { Lanes } from './lanes.js';

/** Beyond this setTimeout fires after one millisecond. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Closes the collectors of all keys, and answers with what they could not deliver. A key with pending items is closed as
 * soon as it gets a lane, and uses the lanes as before: waiting for one counts as no attempt.
 */
export async function closeAll<Item, Key, Batch>(
  keys: Keys<Item, Key, Batch>,
  lanes: Lanes,
  timeout: number,
  flush: boolean,
): Promise<CloseError | undefined> {
  const { clock } = keys.owner;
  const deadline = clock.now() + timeout;
  const late: (() => void)[] = [];
  keys.stop();
  lanes.resume([]);
  const closed = [...keys.all.values()].map((entry) => {
    if (!flush || entry.pending === 0) return outcome(entry.collector.close({ timeout, flush }));
    return new Promise<CloseError | undefined>((resolve) => {
      const close = (): void => {
        if (entry.closing === undefined) return;
        entry.closing = undefined;
        resolve(outcome(entry.collector.close({ timeout: Math.max(0, deadline - clock.now()) })));
      };
      entry.closing = close;
      late.push(close);
    });
  });
  // Armed before those of the collectors: the attempts that they abort free lanes, and nothing may begin on them.
  const timer =
    late.length === 0 || timeout === Infinity
      ? undefined
      : clock.setTimer(
          () => {
            lanes.shut = true;
            for (const close of late) close();
          },
          Math.min(timeout, LONGEST_TIMER),
        );
  if (timeout <= 0) lanes.shut = true;
  const seats = [...keys.busy].map((entry) => entry.seat);
  for (const { ready, tenant } of seats) if (ready) tenant.resume();
  lanes.wantAll(seats);
  const errors = (await Promise.all(closed)).filter((error) => error !== undefined);
  if (timer !== undefined) clock.clearTimer(timer);
  await Promise.all(keys.closing.values());
  const undelivered = errors.reduce((total, error) => total + error.undelivered, 0);
  if (undelivered === 0) return undefined;
  return new CloseError(
    undelivered,
    errors.flatMap((error) => error.batches),
    errors[0]?.cause,
  );
}

async function outcome(closed: Promise<void>): Promise<CloseError | undefined> {
  try {
    await closed;
    return undefined;
  } catch (error) {
    return error instanceof CloseError ? error : new CloseError(0, [], error);
  }
}
