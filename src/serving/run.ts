import type { Context } from './partitions.js';
import type { Batch } from '../core/batch.js';
import { RunContext } from '../core/run-context.js';
import type { Call, Row, Slice } from './row.js';

/** The context of one run. */
export class ServingRun extends RunContext implements Context {
  readonly partition: number;
  readonly inline = false;
  readonly #row: Row;
  /** Waits the longest, as far as is known: others leaving changes nothing. */
  #last: Call | undefined;

  constructor(
    batch: Batch<Row>,
    row: Row,
    readonly state: unknown,
    readonly hooks: Context['hooks'],
    readonly runtimeOptions: unknown,
  ) {
    super(batch, row.size);
    this.partition = batch.lane;
    this.#row = row;
  }

  /** The latest time at which a caller of the batch still waits; once all have left, at which one of them has waited. */
  get deadline(): number {
    if (this.#last === undefined || this.#last.over) {
      const { slices } = this.#row;
      const waiting = slices.filter(({ call }) => !call.over);
      const [first, ...others] = waiting.length > 0 || this.#last !== undefined ? waiting : slices;
      if (first !== undefined) {
        this.#last = others.reduce((last, { call }) => (call.deadline > last.deadline ? call : last), first.call);
      }
    }
    return this.#last?.deadline ?? Infinity;
  }
}

/** A list of results may be such that reading it throws. */
export function deliver(slice: Slice, results: readonly unknown[], at: number): number {
  try {
    return slice.call.deliver(slice, results, at);
  } catch (error) {
    slice.call.fail(error, slice);
    return 0;
  }
}

export function sendToSlices(row: Row, hook: string, list: readonly unknown[] | undefined, payload: unknown): void {
  let at = 0;
  const sent = new Set<Call>();
  for (const slice of row.slices) {
    const { call, size } = slice;
    if (call.send !== undefined && !call.over) {
      if (list !== undefined) call.send(slice, hook, list.slice(at, at + size));
      // Once, also if values of others lie between its own.
      else if (!sent.has(call)) call.send(slice, hook, payload);
      sent.add(call);
    }
    at += size;
  }
}
