import { KeyedBatcher, type KeyedBatcherOptions, type KeyedContext, type MemoryBatch } from 'batch-please/collectors';
import { TestClock, gate, type Gate } from 'batch-please/testing';

export interface Note {
  key: string;
  n: number;
}

export type Options = KeyedBatcherOptions<Note, string>;

export interface Bench {
  clock: TestClock;
  batcher: KeyedBatcher<Note, string>;
  /** Each delivery: `a:1,2 size`. */
  flushed: string[];
}

/** `a1` is the item 1 of key a. */
export const note = (text: string): Note => ({ key: text.slice(0, 1), n: Number(text.slice(1)) });
export const notes = (text: string): Note[] => text.split(' ').map(note);

export const shown = ({ items }: MemoryBatch<Note>, { key, reason }: KeyedContext<string>): string =>
  `${key}:${items.map(({ n }) => n).join()} ${reason}`;

/** On a clock that a test moves, with a sink that notes what comes and answers at once. */
export function bench(options: Options = {}): Bench {
  const clock = new TestClock();
  const flushed: string[] = [];
  const batcher = new KeyedBatcher<Note, string>({
    clock,
    key: (item) => item.key,
    batchFlush(batch, context) {
      flushed.push(shown(batch, context));
    },
    ...options,
  });
  return { clock, batcher, flushed };
}

export type Sink = Gate<[MemoryBatch<Note>, KeyedContext<string>], void>;

/** The same with a sink whose every call waits until the test settles it. */
export function gated(options: Options = {}): Bench & { sink: Sink; began: () => string[] } {
  const sink: Sink = gate<[MemoryBatch<Note>, KeyedContext<string>], void>();
  return {
    ...bench({ batchFlush: sink, ...options }),
    sink,
    began: () => sink.calls.map(([batch, context]) => shown(batch, context)),
  };
}
