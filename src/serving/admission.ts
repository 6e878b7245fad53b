import type { Placement, Weights } from './placement.js';
import { ClosedError, ItemError, OverflowError, messageOf } from '../errors.js';
import { hush } from '../core/promise.js';
import { Room } from '../core/admission.js';
import type { Call, Slice } from './row.js';

export interface AdmissionConfig {
  batchSize: number;
  maxBatchWeight: number;
  weigh: ((value: never) => number) | undefined;
  keepCallsWhole: boolean;
  maxPending: number;
  overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
}

/** Decides whether there is room for the values of a call: they enter, wait, or the call is rejected. */
export class Admission {
  readonly room: Room;
  /**
   * All async iterables together may hold half of the room: a source that answers at once would otherwise fill it again
   * as soon as a place is free, and calls that may not wait would never enter.
   */
  readonly #pulledRoom: Room;
  readonly #placement: Placement;
  readonly #config: AdmissionConfig;
  /** Values that are about to enter while user code may run. */
  #reserved = 0;
  /** Pulled values that have a place in their share, and none in the room yet. */
  #sharing = 0;
  readonly #begins = new WeakMap<readonly Slice[], number>();
  #ended = false;
  #turnedAway: ClosedError | undefined;

  constructor(placement: Placement, config: AdmissionConfig) {
    this.#placement = placement;
    this.#config = config;
    const seal = (): void => {
      placement.seal('demand');
    };
    this.room = new Room(config.maxPending, () => placement.pending + this.#reserved, seal);
    const share = config.maxPending === Infinity ? Infinity : Math.max(1, Math.floor(config.maxPending / 2));
    this.#pulledRoom = new Room(share, () => placement.pulled + this.#sharing, seal);
  }

  /** Turns away the calls that wait for room; values that enter later are cut at once. */
  close(): void {
    const turning = [this.room.close(), this.#pulledRoom.close()];
    for (const one of turning) this.#placement.leaving.add(one);
  }

  /** No more values enter. */
  end(): void {
    this.#ended = true;
  }

  /** Room may be free. */
  admit(): void {
    if (this.room.limit === Infinity) return;
    this.room.admit();
    this.#pulledRoom.admit();
  }

  /** `undefined` if the values have entered or never will; else a promise of that. Pulled values always wait. */
  accept(call: Call, values: readonly unknown[]): Promise<void> | undefined {
    const { room } = this;
    const size = values.length;
    if (size === 0 || !call.wanted) return undefined;
    const weights = this.#weights(call, values);
    if (weights === 'failed') return undefined;
    if (this.#ended) {
      call.end({ error: new ClosedError('closed before all its values were accepted') });
      return undefined;
    }
    if (room.limit === Infinity) {
      this.#enter(call, values, weights);
      return undefined;
    }
    if (call.pulled) return this.#acceptPulled(call, values, weights);
    const fits = size <= room.limit;
    if (fits && !room.crowded && room.has(size)) {
      this.#enter(call, values, weights);
      return undefined;
    }
    const { overflow } = this.#config;
    if (overflow !== 'wait' && (overflow !== 'dropOldest' || !fits)) {
      call.fail(this.#overflowError(size));
      return undefined;
    }
    if (overflow === 'dropOldest' && this.#dropOldest(size)) {
      this.#enter(call, values, weights);
      return undefined;
    }
    if (!fits) return this.#acceptPieces(call, values, weights, room.limit);
    return this.#wait(room, call, size, () => this.#enter(call, values, weights));
  }

  /** First for a place in the share of pulled values, then in the room. */
  async #acceptPulled(call: Call, values: readonly unknown[], weights: Weights): Promise<void> {
    const share = this.#pulledRoom;
    const size = values.length;
    if (size > share.limit) {
      await this.#acceptPieces(call, values, weights, share.limit);
      return;
    }
    let held = 0;
    const hold = (count: number): void => {
      this.#sharing += count - held;
      held = count;
    };
    // At once: of those that wait for the same place only one may have it.
    if (!share.crowded && share.has(size)) hold(size);
    else await this.#wait(share, call, size, () => hold(size));
    const enter = (): void => {
      hold(0);
      this.#enter(call, values, weights);
    };
    if (call.wanted) await this.#enterOrWait(call, values.length, enter);
    if (held === 0) return;
    hold(0);
    share.admit();
  }

  /** More values than there could ever be room for. */
  async #acceptPieces(call: Call, values: readonly unknown[], weights: Weights, limit: number): Promise<void> {
    const most = Math.min(this.#config.batchSize, limit);
    for (let at = 0; at < values.length && call.wanted; at += most) {
      const [piece, weighed] = [values.slice(at, at + most), weights?.slice(at, at + most)];
      if (call.pulled) await this.#acceptPulled(call, piece, weighed);
      else await this.#enterOrWait(call, piece.length, () => this.#enter(call, piece, weighed));
    }
  }

  #enterOrWait(call: Call, size: number, enter: () => void): Promise<void> | undefined {
    const { room } = this;
    if (room.crowded || !room.has(size)) return this.#wait(room, call, size, enter);
    enter();
    return undefined;
  }

  #wait(room: Room, call: Call, size: number, enter: () => void): Promise<void> {
    const { release } = call;
    const watch = (leave: (error: unknown) => void): (() => void) => {
      call.release = () => {
        release?.();
        leave(undefined); // the call has its error
      };
      return () => undefined;
    };
    const entered = (): Promise<void> => {
      call.release = release;
      enter();
      return Promise.resolve();
    };
    const turnAway = (): Error => (this.#turnedAway ??= new ClosedError('closed while waiting for room'));
    return room.wait(entered, turnAway, watch, size).catch((error: unknown) => {
      call.fail(error);
    });
  }

  #enter(call: Call, values: readonly unknown[], weights: Weights): void {
    if (values.length === 0 || !call.wanted) return;
    if (this.#ended) {
      call.end({ error: new ClosedError('closed before all its values were accepted') });
      return;
    }
    call.expect(values.length);
    this.#placement.enter(call, values, weights, this.#config.keepCallsWhole);
    if (this.room.closed) this.#placement.seal('close');
  }

  /** The weight of each value, or the error of its `weigh`; without `settleMany` the first error fails the call. */
  #weights(call: Call, values: readonly unknown[]): Weights | 'failed' {
    const { weigh } = this.#config;
    if (weigh === undefined) return undefined;
    const weights: (number | ItemError)[] = [];
    for (const value of values) {
      try {
        weights.push(weightOf(weigh, value));
      } catch (error) {
        if (call.settles !== true) {
          call.fail(error);
          return 'failed';
        }
        weights.push(error as ItemError);
      }
    }
    return weights;
  }

  /** Rejects as many of the oldest calls that are not executing as it takes to make room; none if that makes none. */
  #dropOldest(size: number): boolean {
    const { room } = this;
    const placement = this.#placement;
    const victims: Call[] = [];
    const seen = new Set<Call>();
    let excess = placement.pending + this.#reserved + size - room.limit;
    for (const row of placement.waitingRows()) {
      const { slices } = row;
      for (let i = this.#begin(slices); i < slices.length && excess > 0; i++) {
        const { call, removed } = slices[i] as Slice;
        if (removed || call.over || seen.has(call)) continue;
        seen.add(call);
        const own = [...call.slices()];
        if (own.some((slice) => slice.row.executing)) continue;
        victims.push(call);
        for (const slice of own) excess -= slice.size;
      }
      if (excess <= 0) break;
    }
    if (excess > 0) return false;
    const error = this.#overflowError(size);
    this.#reserved += size;
    placement.together(() => {
      for (const call of victims) {
        call.fail(error);
        placement.leave(call, error);
      }
    });
    this.#reserved -= size;
    return room.has(size);
  }

  /** Where the slices begin that have not left: the oldest leave first, and stay in the list for a while. */
  #begin(slices: readonly Slice[]): number {
    let at = this.#begins.get(slices) ?? 0;
    while (slices[at]?.removed === true) at++;
    this.#begins.set(slices, at);
    return at;
  }

  #overflowError(size: number): OverflowError {
    const { maxPending } = this.#config;
    const { pending } = this.#placement;
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
    throw new TypeError(`expected a weight from 0 up, given ${messageOf(weight)}`);
  } catch (error) {
    throw new ItemError('weigh', error);
  }
}
