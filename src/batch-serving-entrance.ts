import type { ServingPort } from './batch-serving-port.js';
import { ClosedError, ItemError, OverflowError } from './errors.js';
import { hush } from './kernel/awaitable.js';
import type { Engine } from './kernel/engine.js';
import { Room } from './kernel/room.js';
import type { Call, Row } from './slices.js';

export interface EntranceConfig {
  batchSize: number;
  maxBatchWeight: number;
  weigh: ((value: never) => number) | undefined;
  keepCallsWhole: boolean;
  maxPending: number;
  overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
}

/** How values come in: whether there is room for a call, and where it starts a new batch. */
export class Entrance {
  readonly room: Room;
  readonly #engine: Engine<unknown, Row, readonly unknown[]>;
  readonly #port: ServingPort;
  readonly #config: EntranceConfig;

  constructor(engine: Engine<unknown, Row, readonly unknown[]>, port: ServingPort, config: EntranceConfig) {
    this.#engine = engine;
    this.#port = port;
    this.#config = config;
    this.room = new Room(
      config.maxPending,
      () => port.pending,
      () => {
        engine.demand();
      },
    );
  }

  /** `undefined` once the values are in, or will never be; else a promise of that. Values that are pulled always wait. */
  accept(call: Call, values: readonly unknown[], pulled: boolean): Promise<void> | undefined {
    const { room } = this;
    const size = values.length;
    if (size === 0 || !call.wanted) return undefined;
    if (room.limit === Infinity || (!room.crowded && room.has(size))) {
      this.#enter(call, values);
      return undefined;
    }
    const { overflow } = this.#config;
    if (!pulled && (overflow === 'reject' || overflow === 'dropNewest')) {
      call.fail(this.#overflowError(size));
      return undefined;
    }
    if (!pulled && overflow === 'dropOldest' && this.#dropOldest(size)) {
      this.#enter(call, values);
      return undefined;
    }
    return this.#wait(call, values);
  }

  #wait(call: Call, values: readonly unknown[]): Promise<void> {
    const leaving = new AbortController();
    const release = call.release;
    call.release = () => {
      release?.();
      leaving.abort();
    };
    const enter = (): Promise<void> => {
      call.release = release;
      this.#enter(call, values);
      return Promise.resolve();
    };
    const turnAway = (): Error => new ClosedError('closed while waiting for room');
    return this.room.wait(enter, turnAway, leaving.signal, values.length).catch((error: unknown) => {
      call.fail(error);
    });
  }

  #enter(call: Call, values: readonly unknown[]): void {
    let weights: number[] | undefined;
    try {
      weights = this.#weights(values);
    } catch (error) {
      call.fail(error);
      return;
    }
    const port = this.#port;
    call.expect(values.length);
    if (this.#config.keepCallsWhole) this.#startAnew(weights ?? [], values.length);
    for (let i = 0; i < values.length; i++) {
      const weight = weights?.[i] ?? 0;
      if (weights !== undefined) this.#startAnew([weight], 1);
      // What has run meanwhile may have been a part of this very call, and have failed.
      if (!call.wanted) return;
      port.put(call, values[i], weight);
    }
  }

  #weights(values: readonly unknown[]): number[] | undefined {
    const { weigh } = this.#config;
    return weigh && values.map((value) => weightOf(weigh, value));
  }

  /** Lets the open batch go, if these do not fit into it but would fit into one of their own, or are just one. */
  #startAnew(weights: readonly number[], size: number): void {
    const { ledger, intake } = this.#engine;
    const { batchSize, maxBatchWeight } = this.#config;
    const sum = (from: number): number => weights.reduce((total, weight) => total + weight, from);
    if (size > batchSize || (size > 1 && sum(0) > maxBatchWeight)) return;
    // In a loop: a batch that runs at once may add others.
    while (ledger.size > 0) {
      const heavy = sum(ledger.weight) > maxBatchWeight;
      if (!heavy && ledger.size + size <= batchSize) return;
      intake.seal(heavy ? 'weight' : 'size');
      this.#engine.turn();
    }
  }

  /** Rejects the oldest calls that are not executing until there is room; `false` if it is not to be had. */
  #dropOldest(size: number): boolean {
    const { room } = this;
    for (const row of [...this.waitingRows()]) {
      for (const { call } of [...row.slices]) {
        if (room.has(size)) return true;
        if (call.over || [...call.slices()].some((slice) => slice.batch.executing)) continue;
        call.fail(this.#overflowError(size));
        this.#port.leave(call);
      }
    }
    return room.has(size);
  }

  /** Batches that have not started, oldest first. */
  *waitingRows(): IterableIterator<Row> {
    const { ledger, intake } = this.#engine;
    // Every cut is a flight of this engine's.
    for (const cut of ledger.active) {
      const row = (cut as unknown as { batch: Row }).batch;
      if (!row.executing) yield row;
    }
    for (const cut of ledger.queue) yield (cut as unknown as { batch: Row }).batch;
    if (intake.batch !== undefined) yield intake.batch;
  }

  #overflowError(size: number): OverflowError {
    const { maxPending } = this.#config;
    const { pending } = this.#port;
    const message = `full: ${pending} values are pending, ${size} more would exceed the limit of ${maxPending}`;
    return new OverflowError(message, pending, maxPending);
  }
}

/** Throws `ItemError`. */
export function weightOf(weigh: (value: never) => number, value: unknown): number {
  try {
    const weight: unknown = weigh(value as never);
    if (typeof weight === 'number' && weight >= 0 && weight < Infinity) return weight;
    hush(weight);
    throw new TypeError(`expected a weight from 0 up, given ${String(weight)}`);
  } catch (error) {
    throw new ItemError('weigh', error);
  }
}
