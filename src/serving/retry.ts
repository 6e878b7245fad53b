import { type Retry, backoff } from '../options/retry.js';
import { hush } from '../core/promise.js';
import { warn } from '../events.js';

/** When a batch whose attempt failed is executed again, as the core takes it; `undefined`: never. */
export function nextAttempt(
  retry: Retry,
  failed: { error: unknown; attempt: number; elapsed: number },
): { retryIn: number; set: boolean } | undefined {
  const { attempt, elapsed } = failed;
  if (attempt >= retry.attempts) return undefined;
  const delay = backoff(retry, attempt);
  const asked = ask(retry, { ...failed, delay });
  if (asked === false) return undefined;
  const retryIn = asked ?? delay;
  return elapsed + retryIn > retry.maxElapsed ? undefined : { retryIn, set: asked !== undefined };
}

function ask(retry: Retry, failed: Parameters<NonNullable<Retry['delay']>>[0]): number | false | undefined {
  if (retry.delay === undefined) return undefined;
  try {
    const answer = retry.delay(failed);
    if (answer === undefined || answer === false) return answer;
    // An endless wait is none: its callers would wait for ever.
    if (typeof answer === 'number' && answer >= 0 && answer < Infinity) return answer;
    hush(answer);
    warn('BATCH_RETRY', 'retry.delay returned neither a number, false nor undefined');
  } catch (error) {
    warn('BATCH_RETRY', 'retry.delay threw', error);
  }
  return undefined;
}
