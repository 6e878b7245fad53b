import type { Admission } from './admission.js';
import { Many } from './many.js';
import { Mapping } from './mapping.js';
import { Pull } from './pull.js';
import type { StreamCall } from './stream.js';
import { ResultCountError } from '../errors.js';
import type { Clock } from '../core/clock.js';
import { type Awaitable, isThenable } from '../core/promise.js';
import { optionsError } from '../options/check.js';
import type { Call } from './row.js';

export interface InputParts {
  clock: Clock;
  mapInputs(values: readonly unknown[]): Awaitable<readonly unknown[]>;
}

/** Brings the values of calls to the admission: maps lists, and pulls async iterables. */
export class Input {
  /** Lists that are being mapped. */
  readonly mapping = new Mapping();
  readonly #parts: InputParts;
  readonly #pulls = new Map<Pull, Call>();

  constructor(parts: InputParts) {
    this.#parts = parts;
  }

  /** Calls that are mapped or pulled. */
  get busy(): boolean {
    return this.mapping.size > 0 || this.#pulls.size > 0;
  }

  /** A list is mapped and accepted as a whole. `single`: the call has one value, and so one after `mapInputs`. */
  feed(call: Call, values: readonly unknown[], admission: Admission, single: boolean): void {
    const accept = (mapped: readonly unknown[]): void => {
      if (single && mapped.length !== 1) throw new ResultCountError(1, mapped.length, 'mapInputs');
      const waiting = admission.accept(call, mapped);
      if (waiting === undefined) call.end();
      else void waiting.then(() => call.end());
    };
    try {
      const mapped = values.length === 0 ? values : this.#parts.mapInputs(values);
      if (!isThenable(mapped)) {
        accept(mapped);
        return;
      }
      const accepted = Promise.resolve(mapped).then(accept);
      this.mapping.start(call, values.length, accepted);
      accepted.catch((error: unknown) => {
        call.fail(error);
      });
    } catch (error) {
      call.fail(error);
    }
  }

  /** Pulls an async iterable; no more than `window` of its values are pending or unread at a time. */
  pull(call: Many | StreamCall, source: AsyncIterable<unknown>, window: number, admission: Admission): void {
    const pull = new Pull(source, window, this.#parts.clock);
    this.#pulls.set(pull, call);
    call.credit = (count) => {
      pull.credit(count);
    };
    const stop = (): void => {
      this.#pulls.delete(pull);
      pull.stop();
    };
    const { release } = call;
    call.release = () => {
      release?.();
      stop();
    };
    if (!(call instanceof Many)) call.source = stop;
    const take = async (value: unknown): Promise<number> => {
      const mapped = await this.#parts.mapInputs([value]);
      await admission.accept(call, mapped);
      return mapped.length;
    };
    void pull.read(take).then((failure) => {
      stop();
      // Some of the results are of no use to the caller of a list; the reader of a stream gets them before the error.
      if (failure !== undefined && call instanceof Many) call.fail(failure.error);
      else call.end(failure);
    });
  }

  /** Reads no more from any source; the calls fail once their accepted values are settled. */
  stopPulls(error: Error): void {
    for (const [pull, call] of [...this.#pulls]) {
      pull.stop();
      call.end({ error });
    }
  }
}

/** The values of a list or iterable, or the async iterable. Throws `OptionsError` for anything else, also a string. */
export function readValues(owner: string, values: unknown): readonly unknown[] | AsyncIterable<unknown> {
  if (Array.isArray(values)) return (values as unknown[]).slice();
  const source = values as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined;
  if (typeof source === 'object' && source !== null) {
    if (typeof source[Symbol.asyncIterator] === 'function') return source as AsyncIterable<unknown>;
    if (typeof source[Symbol.iterator] === 'function') return Array.from<unknown>(source as Iterable<unknown>);
  }
  throw optionsError(owner, 'values', 'an iterable or async iterable', values);
}
