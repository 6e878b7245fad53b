import { Many } from './calls.js';
import type { Entrance } from './admission.js';
import { Pull } from './pull.js';
import { StreamCall } from './stream.js';
import { Mapping } from './mapping.js';
import { type Awaitable, isThenable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Call } from './row.js';

type MapInputs = (values: readonly unknown[]) => Awaitable<readonly unknown[]>;

/** Values on their way in: they are mapped, or pulled, before they are accepted. */
export class Arrivals {
  readonly #mapInputs: MapInputs;
  readonly #clock: Clock;
  /** Lists that are being mapped. */
  readonly mapping = new Mapping();
  readonly #pulls = new Map<Pull, Call>();

  constructor(mapInputs: MapInputs, clock: Clock) {
    this.#mapInputs = mapInputs;
    this.#clock = clock;
  }

  /** A list: all of it is mapped, and accepted, in one go. */
  feed(call: Call, values: readonly unknown[], entrance: Entrance): void {
    const accept = (mapped: readonly unknown[]): void => {
      const waiting = entrance.accept(call, mapped, false);
      if (waiting === undefined) call.end();
      else void waiting.then(() => call.end());
    };
    try {
      const mapped = values.length === 0 ? values : this.#mapInputs(values);
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

  /** An async iterable, of which no more than `window` values are on their way or wait to be read. */
  pull(call: Many | StreamCall, source: AsyncIterable<unknown>, window: number, entrance: Entrance): void {
    const pull = new Pull(source, window, this.#clock);
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
    if (call instanceof StreamCall) call.source = stop;
    const take = async (value: unknown): Promise<number> => {
      const mapped = await this.#mapInputs([value]);
      await entrance.accept(call, mapped, true);
      return mapped.length;
    };
    void pull.read(take).then((failure) => {
      stop();
      // A list of results is of no use without its end; a stream gives what came before.
      if (failure !== undefined && call instanceof Many) call.fail(failure.error);
      else call.end(failure);
    });
  }

  /** Reads no more from any source. */
  stopPulls(error: Error): void {
    for (const [pull, call] of [...this.#pulls]) {
      pull.stop();
      call.end({ error });
    }
  }
}
