import type { Batch } from '../core/batch.js';
import { SOON } from '../core/actions.js';
import type { Clock } from '../core/clock.js';
import { hush, isThenable } from '../core/promise.js';
import type { Decision, Action, Parts } from '../core/driver.js';
import { codeOf, oneError, readErrors } from './item-errors.js';
import { type FailedAttempt, type Retry, backoff } from '../options/retry.js';

type Split<State> = (state: State, indexes: readonly number[]) => State;
type Part<State> = Parts<State>['parts'][number];

/** The facts that the policy decides by. */
export interface FailureParts<State> {
  readonly config: () => { readonly retry: Retry; readonly giveUp: 'hold' | 'drop' | 'split' };
  readonly split: Split<State> | undefined;
  /** Failed attempts since the last delivery, and deliveries; the policy starts the count of failures anew. */
  readonly core: () => { readonly clock: Pick<Clock, 'now'>; failures: number; readonly deliveries: number };
  readonly report: (message: string, error: unknown) => void;
}

/** Decides what becomes of a batch whose attempt failed: tried again, held, given up, or split. */
export class FailurePolicy<State> {
  /** A bound of the storage's own leaves the batch no further attempt. */
  #spent = false;

  constructor(readonly parts: FailureParts<State>) {}

  decide(batch: Batch<State>, error: unknown, spent: boolean, unseen: boolean): Decision<State> {
    this.#spent = spent;
    if (unseen && !spent) return this.#wait(batch, error) ?? 'hold';
    const code = codeOf(error);
    if (code !== 'ERR_BATCH_PARTIAL' && code !== 'ERR_BATCH_TOO_LARGE') return this.#action(batch, error);
    try {
      return code === 'ERR_BATCH_PARTIAL' ? this.#partial(batch, error) : this.#tooLarge(batch);
    } catch (broken) {
      batch.failure = broken;
      return this.#action(batch, broken);
    }
  }

  get #giveUp(): 'hold' | 'drop' | 'split' {
    return this.#spent ? 'drop' : this.parts.config().giveUp;
  }

  /** The error of a batch as a whole. */
  #action(batch: Batch<State>, error: unknown): Decision<State> {
    const wait = this.#wait(batch, error);
    if (wait !== undefined) return wait;
    return this.#giveUp === 'split' ? this.#isolate(batch, error) : this.#giveUp;
  }

  /** The delay before the next attempt; `undefined` when there is none. */
  #wait(batch: Batch<State>, error: unknown): { retryIn: number; set: boolean } | undefined {
    const { retry } = this.parts.config();
    const { attempt, firstStartedAt, dueAt, extra } = batch;
    const now = this.parts.core().clock.now();
    const elapsed = Math.max(now - firstStartedAt, 0);
    // A batch that was hurried is due when it was due anyway.
    const delay = extra ? Math.max(dueAt - now, 0) : backoff(retry, attempt);
    const asked = this.#ask({ error, attempt, elapsed, delay });
    if (asked === false || attempt >= retry.attempts || this.#spent) return undefined;
    const wait = { retryIn: Math.max(asked ?? delay, SOON), set: asked !== undefined };
    return elapsed + wait.retryIn > retry.maxElapsed ? undefined : wait;
  }

  #ask(failed: FailedAttempt): number | false | undefined {
    const { config, report } = this.parts;
    const { retry } = config();
    if (retry.delay === undefined) return undefined;
    try {
      const answer: unknown = retry.delay(failed);
      if (answer === undefined || answer === false) return answer;
      // An endless wait is none: not even flush() could end it.
      if (typeof answer === 'number' && answer >= 0 && answer < Infinity) return answer;
      hush(answer);
      report('retry.delay returned neither a number, false nor undefined', undefined);
    } catch (thrown) {
      report('retry.delay threw', thrown);
    }
    return undefined;
  }

  // Failing in part

  #partial(batch: Batch<State>, error: unknown): Decision<State> {
    const named = readErrors(error, batch.size);
    const again: number[] = [];
    const lost: number[] = [];
    let longest: { retryIn: number; set: boolean } | undefined;
    for (const [index, reason] of named) {
      const wait = this.#wait(batch, reason);
      if (wait === undefined) lost.push(index);
      else {
        again.push(index);
        // A delay that was set for one of them is not cut short for the others' sake.
        const set = wait.set || longest?.set === true;
        longest = { retryIn: Math.max(wait.retryIn, longest?.retryIn ?? 0), set };
      }
    }
    const all = named.length === batch.size;
    if (longest !== undefined && all && lost.length === 0) return longest;
    const givenUp = this.#giveUp === 'hold' ? 'hold' : 'drop';
    const errorOf = new Map(named);
    const givenUpBy = oneError(
      lost.map((index) => errorOf.get(index)),
      error,
    );
    if (all && again.length === 0) {
      batch.failure = givenUpBy;
      return givenUp;
    }
    const plan: { indexes: number[]; action: Action; error: unknown }[] = [];
    if (longest !== undefined) plan.push({ indexes: again, action: longest, error: errorOf.get(again[0] as number) });
    if (lost.length > 0) plan.push({ indexes: lost, action: givenUp, error: givenUpBy });
    return { parts: this.#take(batch, plan, batch.attempt) };
  }

  #tooLarge(batch: Batch<State>): Decision<State> {
    // No later attempt would deliver it: held, it would be tried in front of newer batches for ever.
    if (batch.size <= 1) return 'drop';
    return this.#halve(batch, batch.extra ? batch.attempt : batch.attempt - 1);
  }

  // Isolating the items that fail

  #isolate(batch: Batch<State>, error: unknown): Decision<State> {
    const { split } = this.parts;
    const run = this.parts.core();
    if (split === undefined) {
      this.parts.report("giveUp: 'split' needs a batchSplit; the batch is held", error);
      return 'hold';
    }
    if (batch.splitFrom === 0) {
      batch.splitFrom = batch.size;
      run.failures = 1;
    }
    // An outage fails everything; poison fails what it is in. So many failures in a row are an outage.
    const outage = run.failures >= 2 * Math.log2(batch.splitFrom) + 2;
    const single = batch.size === 1;
    const suspected = batch.suspectedAt >= 0;
    if (single && suspected && batch.suspectedAt < run.deliveries) return 'drop';
    if (single || outage) {
      // A second time it never keeps its lane: it may be or hold poison, and would block everything behind it.
      if (suspected || (single && (!outage || batch.splitFrom === 1))) return 'aside';
      batch.suspectedAt = run.deliveries;
      return 'hold';
    }
    batch.suspectedAt = -1;
    try {
      return this.#halve(batch, batch.attempt);
    } catch (broken) {
      batch.failure = broken;
      return 'hold';
    }
  }

  #halve(batch: Batch<State>, attempt: number): Parts<State> {
    const half = Math.ceil(batch.size / 2);
    const indexes = Array.from({ length: batch.size }, (_, i) => i);
    const action: Action = { retryIn: 0 };
    const { failure } = batch;
    const plan = [
      { indexes: indexes.slice(0, half), action, error: failure },
      { indexes: indexes.slice(half), action, error: failure },
    ];
    return { parts: this.#take(batch, plan, attempt) };
  }

  /** Takes the planned parts out of the batch; what is left, if it is a part, keeps the batch's own state. */
  #take(
    batch: Batch<State>,
    plan: readonly { indexes: number[]; action: Action; error: unknown }[],
    attempt: number,
  ): Part<State>[] {
    const taken: Part<State>[] = [];
    let remaining = Array.from({ length: batch.size }, (_, i) => i);
    const rest = batch.size - plan.reduce((sum, { indexes }) => sum + indexes.length, 0);
    for (const [i, { indexes, action, error }] of plan.entries()) {
      const wanted = new Set(indexes);
      const places = remaining.flatMap((original, place) => (wanted.has(original) ? [place] : []));
      // The last part of a batch without a rest is the batch.
      const whole = rest === 0 && i === plan.length - 1;
      try {
        taken.push({
          state: whole ? batch.state : this.#split(batch.state, places),
          indexes: places,
          action,
          error,
          attempt,
        });
      } catch (broken) {
        if (i === 0) throw broken;
        // Parts that were taken out before stay out. All of the rest is one batch, since it cannot be divided.
        const givenUp = this.#giveUp === 'hold' ? 'hold' : 'drop';
        const all = remaining.map((_, place) => place);
        const wait = this.#wait(batch, broken) ?? givenUp;
        return [...taken, { state: batch.state, indexes: all, action: wait, error: broken, attempt }];
      }
      remaining = remaining.filter((original) => !wanted.has(original));
    }
    return taken;
  }

  #split(state: State, places: readonly number[]): State {
    const { split } = this.parts;
    if (split === undefined) throw new Error('a batch that fails in part needs a batchSplit, and there is none');
    const part: unknown = split(state, places);
    if (isThenable(part)) {
      hush(part);
      throw new TypeError('batchSplit must return a batch, and returned a promise');
    }
    if (part == null) throw new TypeError(`batchSplit must return a batch, and returned ${String(part)}`);
    return part as State;
  }
}
