import type { ServingPort } from './executor.js';
import { ClosedError, ItemError, OverflowError } from '../errors.js';
import type { Engine } from '../core/engine.js';
import { checkWeight } from '../core/intake.js';
import { Room } from '../core/admission.js';
import type { Call, Row } from './row.js';

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
  /** Values whose place is taken, though they are not in yet: what runs meanwhile may call, or let others in. */
  #reserved = 0;
  #ended = false;

  constructor(engine: Engine<unknown, Row, readonly unknown[]>, port: ServingPort, config: EntranceConfig) {
    this.#engine = engine;
    this.#port = port;
    this.#config = config;
    this.room = new Room(
      config.maxPending,
      () => port.pending + this.#reserved,
      () => {
        engine.demand();
      },
    );
  }

  /** Whoever waits for room is turned away, now and from now on; what still comes in goes at once. */
  close(): void {
    this.room.close();
  }

  /** Nothing comes in any more. */
  end(): void {
    this.#ended = true;
  }

  /** `undefined` once the values are in, or will never be; else a promise of that. Values that are pulled always wait. */
  accept(call: Call, values: readonly unknown[], pulled: boolean): Promise<void> | undefined {
    const { room } = this;
    const size = values.length;
    if (size === 0 || !call.wanted) return undefined;
    if (this.#ended) {
      call.end({ error: new ClosedError('closed before all its values were accepted') });
      return undefined;
    }
    const fits = size <= room.limit;
    if (room.limit === Infinity || (fits && !room.crowded && room.has(size))) {
      this.#enter(call, values);
      return undefined;
    }
    const { overflow } = this.#config;
    if (!pulled && overflow !== 'wait') {
      if (overflow !== 'dropOldest' || !fits) {
        call.fail(this.#overflowError(size));
        return undefined;
      }
      if (this.#dropOldest(size)) {
        this.#enter(call, values);
        return undefined;
      }
    }
    return fits ? this.#wait(call, values) : this.#acceptPieces(call, values);
  }

  /** More than there could ever be room for. */
  async #acceptPieces(call: Call, values: readonly unknown[]): Promise<void> {
    const most = Math.min(this.#config.batchSize, this.room.limit);
    for (let at = 0; at < values.length && call.wanted; at += most)
      await this.accept(call, values.slice(at, at + most), true);
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
    this.#reserved += values.length;
    if (this.#config.keepCallsWhole) this.#startAnew(weights ?? [], values.length);
    let left = values.length;
    for (const value of values) {
      const weight = weights?.[values.length - left] ?? 0;
      if (weights !== undefined) this.#startAnew([weight], 1);
      // What has run meanwhile may have been a part of this very call, and have failed.
      if (!call.wanted) break;
      left--;
      this.#reserved--;
      port.put(call, value, weight);
    }
    this.#reserved -= left;
    if (left > 0) this.room.admit();
    if (this.room.closed) this.#engine.demand('close');
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

  /** Rejects as many of the oldest calls that are not executing as it takes to make room; none if that makes none. */
  #dropOldest(size: number): boolean {
    const { room } = this;
    const victims = new Set<Call>();
    let excess = this.#port.pending + this.#reserved + size - room.limit;
    for (const row of this.waitingRows()) {
      for (const { call } of row.slices) {
        if (excess <= 0) break;
        if (call.over || victims.has(call)) continue;
        const slices = [...call.slices()];
        if (slices.some((slice) => slice.batch.executing)) continue;
        victims.add(call);
        for (const slice of slices) excess -= slice.size;
      }
      if (excess <= 0) break;
    }
    if (excess > 0) return false;
    const error = this.#overflowError(size);
    this.#reserved += size;
    for (const call of victims) {
      call.fail(error);
      this.#port.leave(call);
    }
    this.#reserved -= size;
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
    return checkWeight(weigh(value as never));
  } catch (error) {
    throw new ItemError('weigh', error);
  }
}
