import vm from 'node:vm';
import type { BatchPleaseOptions, BatchPleaseState, FlushContext } from 'batch-please';
import { MemoryBatcher, type MemoryBatch } from 'batch-please/collectors';
import { TestClock, gate, type Gate } from 'batch-please/testing';

export type Numbers = MemoryBatch<number>;
export type NumberOptions = BatchPleaseOptions<number, Numbers>;

/** A flush hook whose every call waits until the test settles it. */
export function sink(): Gate<[Numbers, FlushContext], void> {
  return gate<[Numbers, FlushContext], void>();
}

/** The items of each call of a gated flush, in order. */
export function flushedBy(flush: Gate<[Numbers, FlushContext], void>): number[][] {
  return flush.calls.map(([batch]) => [...batch.items]);
}

export interface Bench {
  clock: TestClock;
  batcher: MemoryBatcher<number>;
  /** What was delivered, batch by batch. */
  batches: number[][];
  /** The same as arithmetic: `3 (size)`. */
  sizes: string[];
  /** When each delivery began. */
  times: number[];
}

/** A batcher of numbers on a clock that a test moves, with a sink that notes what comes and answers at once. */
export function bench(options: NumberOptions = {}): Bench {
  const clock = new TestClock();
  const batches: number[][] = [];
  const sizes: string[] = [];
  const times: number[] = [];
  const batcher = new MemoryBatcher<number>({
    clock,
    batchFlush({ items }, { size, reason }) {
      batches.push([...items]);
      sizes.push(`${size} (${reason})`);
      times.push(clock.now());
    },
    ...options,
  });
  return { clock, batcher, batches, sizes, times };
}

/** Lets everything run that needs no time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** How a promise stands right now: looking at it does not wait for it. */
export interface Watched {
  readonly state: 'pending' | 'resolved' | 'rejected';
  readonly error: unknown;
}

export function watch(promise: Promise<unknown>): Watched {
  const watched: { state: Watched['state']; error: unknown } = { state: 'pending', error: undefined };
  promise.then(
    () => {
      watched.state = 'resolved';
    },
    (error: unknown) => {
      watched.state = 'rejected';
      watched.error = error;
    },
  );
  return watched;
}

/** A1: what was accepted is delivered, refused, dropped, returned or still there. */
export function expectBalanced(batcher: {
  state: Pick<BatchPleaseState<unknown, unknown>, 'counts' | 'pending'>;
}): void {
  const { counts, pending } = batcher.state;
  expect(pending).toBeGreaterThanOrEqual(0);
  expect(counts.delivered + counts.refused + counts.dropped + counts.returned + pending).toBe(counts.totalItems);
}

/** The process itself: inside jest `process` is a copy, which hears of nothing. */
const realProcess = vm.runInThisContext('process') as NodeJS.Process;

/** A4: what reaches the process as an unhandled rejection or uncaught exception while `work` runs. */
export async function strayErrors(work: () => unknown): Promise<unknown[]> {
  const stray: unknown[] = [];
  const note = (error: unknown): void => {
    stray.push(error);
  };
  // Those of jest stand aside meanwhile, or they would fail the test before it can say what it found.
  const events = ['unhandledRejection', 'uncaughtException'] as const;
  const others = events.map((event) => realProcess.rawListeners(event) as NodeJS.UncaughtExceptionListener[]);
  for (const event of events) realProcess.removeAllListeners(event).on(event, note);
  try {
    await work();
    await settled();
  } finally {
    for (const [index, event] of events.entries()) {
      realProcess.removeAllListeners(event);
      for (const listener of others[index] ?? []) realProcess.on(event as 'uncaughtException', listener);
    }
  }
  return stray;
}

/** The process warnings of the library from here on; they are not printed. */
export function warnings(): string[] {
  const seen: string[] = [];
  jest.spyOn(process, 'emitWarning').mockImplementation((warning: string | Error) => {
    seen.push(String(warning));
  });
  return seen;
}

/** An error of the library: its fields, for `toThrow`. */
export function errorWith(fields: Record<string, unknown>): Error {
  const matcher: unknown = expect.objectContaining(fields);
  return matcher as Error;
}
