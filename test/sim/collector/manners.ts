import type { Awaitable, Clock } from 'batch-please';
import type { Random } from 'batch-please/testing';
import { drawManner, type Manners } from './plan.js';

/** An error that a hook or a listener throws on purpose. */
export class Oops extends Error {}

export interface Act<T> {
  manners: Manners;
  /** How long the batcher waits for an answer, and how much of that has passed. */
  patience: number;
  spent?: number;
  value: () => T;
  /** Called at the moment at which the outcome is known, and only if it is in time. */
  answer: (ok: boolean, error: unknown) => void;
  /** Makes the error of a failure. */
  error?: (manner: string) => Error;
  /** Called if it never answers and nothing ends that. */
  hangs: () => void;
}

/** A user function that behaves as its manners say: answers at once, late, twice or never, throws, rejects. */
export function act<T>(random: Random, clock: Clock, calm: boolean, options: Act<T>): Awaitable<T> {
  const { manners, patience, spent = 0, value, answer, hangs } = options;
  const manner = calm ? 'now' : drawManner(random, manners);
  const succeed = (): T => {
    const result = value();
    answer(true, undefined);
    return result;
  };
  const failure = (): Error => {
    const error = options.error?.(manner) ?? new Oops(manner);
    answer(false, error);
    return error;
  };
  const later = (delay: number): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const inTime = spent + delay < patience;
      clock.setTimer(() => {
        if (manner === 'rejectLater') reject(inTime ? failure() : new Oops('too late'));
        else if (inTime) resolve(succeed());
        else resolve(undefined as T);
      }, delay);
    });
  switch (manner) {
    case 'now':
      return succeed();
    case 'soon':
      return Promise.resolve().then(succeed);
    case 'later':
    case 'rejectLater':
      return later(1 + 4 * random.int(9));
    case 'late':
      return later(1 + 4 * random.int(4) + (patience < Infinity ? patience : 0));
    case 'throw':
      throw failure();
    case 'reject':
      return Promise.resolve().then(() => {
        throw failure();
      });
    case 'hang':
      if (patience === Infinity) hangs();
      return new Promise<T>(() => undefined);
    case 'twice':
      return {
        // A promise of another library that breaks the rules.
        then: (ok: (value: T) => void, no: (error: unknown) => void) => {
          ok(succeed());
          ok(undefined as T);
          no(new Oops('twice'));
          throw new Oops('twice');
        },
      } as unknown as PromiseLike<T>;
  }
}
