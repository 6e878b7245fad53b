import { Many } from './batch-serving-calls.js';
import type { Entrance } from './batch-serving-entrance.js';
import { Pull } from './batch-serving-pull.js';
import { StreamCall } from './batch-serving-stream.js';
import { type Awaitable, isThenable } from './kernel/awaitable.js';
import { type Clock, within } from './kernel/clock.js';
import type { Call } from './slices.js';

type MapInputs = (values: readonly unknown[]) => Awaitable<readonly unknown[]>;

/** Values on their way in: they are mapped, or pulled, before they are accepted. And maps of results, on the way out. */
export class Arrivals {
  readonly #mapInputs: MapInputs;
  /** Calls whose values are being mapped. */
  readonly #mapped = new Set<Call>();
  readonly #pulls = new Map<Pull, Call>();
  /** Maps that are under way. */
  readonly #outside = new Set<PromiseLike<unknown>>();

  constructor(mapInputs: MapInputs) {
    this.#mapInputs = mapInputs;
  }

  /** Work outside batches, for which closing waits. */
  readonly outside = (work: PromiseLike<unknown>): void => {
    const done = (): unknown => this.#outside.delete(work);
    this.#outside.add(work);
    work.then(done, done);
  };

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
      this.#mapped.add(call);
      const accepted = Promise.resolve(mapped).then(accept);
      this.outside(accepted);
      accepted
        .catch((error: unknown) => {
          call.fail(error);
        })
        .finally(() => this.#mapped.delete(call));
    } catch (error) {
      call.fail(error);
    }
  }

  /** An async iterable, of which no more than `window` values are on their way or wait to be read. */
  pull(call: Many | StreamCall, source: AsyncIterable<unknown>, window: number, entrance: Entrance): void {
    const pull = new Pull(source, window);
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

  /** Whose values have not been accepted. */
  fail(error: Error): void {
    for (const call of [...this.#mapped]) call.fail(error);
  }

  /** Waits for the maps that are under way, until the deadline. */
  async settle(clock: Clock, deadline: number): Promise<void> {
    while (this.#outside.size > 0) {
      const patience = deadline - clock.now();
      if (patience <= 0) return;
      await within(clock, patience, Promise.allSettled([...this.#outside]), () => undefined);
    }
  }
}
