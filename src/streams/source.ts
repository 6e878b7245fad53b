import { wrong } from './options.js';

/** One way to read every kind of source. A synchronous one answers at once. */
export interface Source<Item> {
  next(): IteratorResult<Item, unknown> | PromiseLike<IteratorResult<Item, unknown>>;
  /** Ends it early: it needs no more reads. */
  end(): unknown;
}

/** Anything that `batched` reads. */
export type Batchable<Item> = Iterable<Item> | AsyncIterable<Item> | ReadableStream<Item>;

/** Throws `OptionsError` if it is none of these. */
export function checkSource(source: unknown): void {
  const given = source as Partial<Record<PropertyKey, unknown>> | null | undefined;
  const methods = ['getReader', Symbol.asyncIterator, Symbol.iterator];
  if (given == null || !methods.some((name) => typeof given[name] === 'function')) {
    throw wrong('source', 'an iterable, an async iterable or a ReadableStream', source);
  }
}

export function open<Item>(source: Batchable<Item>): Source<Item> {
  // By its reader, since Safari cannot iterate over a stream, and because a reader can be cancelled while it reads.
  const given = Object(source) as object; // a string is an iterable too
  if ('getReader' in given && typeof given.getReader === 'function') return ofStream(given as ReadableStream<Item>);
  const iterator =
    Symbol.asyncIterator in given
      ? (given as AsyncIterable<Item>)[Symbol.asyncIterator]()
      : (source as Iterable<Item>)[Symbol.iterator]();
  return {
    next: () => iterator.next(),
    end: () => {
      // A Node stream's own iterator ends only when the read under way has been answered, which may be never.
      if ('pipe' in given && 'destroy' in given) (given as { destroy(): void }).destroy();
      return iterator.return?.();
    },
  };
}

function ofStream<Item>(stream: ReadableStream<Item>): Source<Item> {
  const reader = stream.getReader();
  return {
    next: async () => {
      let goesOn = false;
      try {
        const result = await reader.read();
        goesOn = !result.done;
        return result;
      } finally {
        if (!goesOn) reader.releaseLock();
      }
    },
    end: () =>
      reader.cancel().finally(() => {
        reader.releaseLock();
      }),
  };
}
