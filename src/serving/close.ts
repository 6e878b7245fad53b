import type { ServingEvents } from './types.js';
import type { Events } from '../events.js';
import type { Input } from './input.js';
import type { Mapping } from './mapping.js';
import type { Parts } from './parts.js';
import { CloseError, ClosedError } from '../errors.js';
import type { Clock } from '../core/clock.js';

export interface Closing extends Parts {
  owner: string;
  events: Events<ServingEvents>;
  clock: Clock;
  input: Input;
  /** Results that are being mapped. */
  departures: Mapping;
  /** Work in the caller. */
  inline: Mapping;
}

/** Ends a serving within `timeout` ms; throws `CloseError` if values were not executed, or their results not mapped. */
export async function closeServing(closing: Closing, timeout: number, drain: boolean): Promise<void> {
  const { owner, clock, input, placement, admission, partitions, departures, inline } = closing;
  const deadline = clock.now() + timeout;
  const unexecuted = new ClosedError(`${owner} was closed before this was executed`);
  admission.close();
  input.stopPulls(new ClosedError(`${owner} was closed before the source of values had ended`));
  inline.closing();
  let undelivered = 0;
  if (drain) {
    placement.seal('close');
    await input.mapping.settle(clock, deadline);
    // Lists that are mapped later are not executed.
    if (clock.now() >= deadline) admission.end();
    undelivered = input.mapping.fail(unexecuted);
  } else {
    // Everything that has not started fails, and what runs is not tried again.
    placement.ending = true;
    admission.end();
    placement.leaving.add(input.mapping.failing(unexecuted));
    placement.turnAway([...placement.waitingRows()], unexecuted, true);
  }
  const left = await placement.close(Math.max(deadline - clock.now(), 0));
  admission.end();
  // Callers of settled rows have had the error of the last attempt.
  const rows = left.rows.filter((row) => !row.settled);
  for (const row of rows) row.compact();
  // Before any caller is rejected: a call that fails leaves all its rows.
  const batches = rows.map((row) => row.values.slice());
  for (const { call, size } of rows.flatMap((row) => row.slices)) undelivered += call.over ? 0 : size;
  const closed = new ClosedError(unexecuted.message, left.cause);
  placement.turnAway(rows, closed, false);
  await placement.leaving.emptied();
  await inline.settle(clock, deadline);
  undelivered += inline.fail(closed);
  await departures.settle(clock, deadline);
  undelivered += departures.fail(new ClosedError(`${owner} was closed before its results were mapped`));
  await partitions.close();
  closing.events.emit('closed', { undelivered });
  if (undelivered > 0) throw new CloseError(undelivered, batches, left.cause);
}
