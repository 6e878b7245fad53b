import type { DispatchOptions } from './types.js';
import { TimeoutError } from '../errors.js';
import { onAbort } from '../core/promise.js';
import { type Clock, LONGEST_TIMER } from '../core/clock.js';
import type { Call } from './row.js';

/** Lets the caller give up: by its signal, or after its timeout. */
export function watch(
  call: Call,
  { signal, timeout }: DispatchOptions,
  clock: Clock,
  owner: string,
  leave: (call: Call) => void,
): void {
  const giveUp = (error: unknown): void => {
    if (call.over) return;
    call.aborted = true;
    call.fail(error);
    leave(call);
  };
  if (signal?.aborted === true) {
    giveUp(signal.reason);
    return;
  }
  const unheard =
    signal == null
      ? undefined
      : onAbort(signal, () => {
          giveUp(signal.reason);
        });
  let timer: unknown;
  if (timeout != null && timeout < Infinity) {
    const late = (): void => {
      giveUp(new TimeoutError(`a call of ${owner}`, timeout));
    };
    timer = clock.setTimer(late, Math.min(timeout, LONGEST_TIMER));
  }
  call.release = () => {
    unheard?.();
    if (timer !== undefined) clock.clearTimer(timer);
  };
}
