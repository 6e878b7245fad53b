import { PassThrough, Readable } from 'node:stream';
import { batched, type BatchedOptions } from 'batch-please/streams';
import { OptionsError } from 'batch-please';

async function listsOf<T>(source: Parameters<typeof batched<T>>[0], options?: BatchedOptions<T>): Promise<T[][]> {
  const lists: T[][] = [];
  for await (const list of batched(source, options)) lists.push(list);
  return lists;
}

/** Counts up; remembers how far it was read, and whether it was ended. */
class Counter implements AsyncIterable<number> {
  read = 0;
  ended = 0;
  constructor(readonly total = Infinity) {}
  [Symbol.asyncIterator](): AsyncIterator<number> {
    return {
      next: () => Promise.resolve(this.read >= this.total ? { done: true, value: undefined } : { value: this.read++ }),
      return: () => {
        this.ended++;
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}

/** A source that gives an item when the test says so. */
function tap<T>(): AsyncIterable<T> & { give: (item: T) => void; finish: () => void; ended: boolean } {
  const answers: ((result: IteratorResult<T>) => void)[] = [];
  const source = {
    ended: false,
    give: (value: T): void => answers.shift()?.({ value }),
    finish: (): void => answers.shift()?.({ done: true, value: undefined }),
    [Symbol.asyncIterator]: (): AsyncIterator<T> => ({
      next: () => new Promise((resolve) => answers.push(resolve)),
      return: () => {
        source.ended = true;
        return new Promise(() => undefined); // as a generator that is being read
      },
    }),
  };
  return source;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('lists', () => {
  test('5 = 2+2+1 (size)', async () => {
    expect(await listsOf([1, 2, 3, 4, 5], { maxBatchSize: 2 })).toEqual([[1, 2], [3, 4], [5]]);
  });

  test('an item that does not fit closes the list; a heavier one goes alone', async () => {
    const options = { maxBatchWeight: 10, weigh: (n: number) => n };
    expect(await listsOf([4, 4, 4, 50, 1, 9, 1], options)).toEqual([[4, 4], [4], [50], [1, 9], [1]]);
  });

  test('an empty source gives no list', async () => {
    expect(await listsOf([], { maxBatchSize: 2 })).toEqual([]);
    expect(await listsOf(new Counter(0), { maxBatchSize: 2 })).toEqual([]);
  });

  test('without limits everything is one list', async () => {
    expect(await listsOf('abc')).toEqual([['a', 'b', 'c']]);
  });

  test.each([
    ['a set', () => new Set([1, 2, 3])],
    ['an async iterable', () => new Counter(3)],
    ['a Node stream', () => Readable.from([1, 2, 3])],
    ['a web stream', () => Readable.toWeb(Readable.from([1, 2, 3])) as ReadableStream<number>],
  ])('%s is a source', async (_name, make) => {
    expect((await listsOf<number>(make() as AsyncIterable<number>, { maxBatchSize: 2 })).map((l) => l.length)).toEqual([
      2, 1,
    ]);
  });

  test('the lock of a web stream is released at its end', async () => {
    const stream = Readable.toWeb(Readable.from([1])) as ReadableStream<number>;
    await listsOf(stream);
    expect(stream.locked).toBe(false);
  });

  test('calls of next that do not wait for each other get lists in order, then the end', async () => {
    const lists = batched([1, 2, 3], { maxBatchSize: 2 });
    const results = await Promise.all([lists.next(), lists.next(), lists.next(), lists.next()]);
    expect(results.map(({ done, value }) => (done === true ? 'end' : value.length))).toEqual([2, 1, 'end', 'end']);
  });
});

describe('reading', () => {
  test('begins at the first next', async () => {
    const counter = new Counter();
    const lists = batched(counter, { maxBatchSize: 3 });
    await turn();
    expect(counter.read).toBe(0);
    await lists.return?.();
    expect(counter.ended).toBe(0); // never begun, so nothing to end
  });

  test('goes one list ahead and no further', async () => {
    const counter = new Counter();
    const lists = batched(counter, { maxBatchSize: 3 });
    await lists.next();
    await turn();
    expect(counter.read).toBe(6);
    await lists.next();
    await turn();
    expect(counter.read).toBe(9);
    await lists.return?.();
  });

  test('a slow consumer of a fast source of 1,000,000 items holds two lists', async () => {
    const counter = new Counter(1_000_000);
    let seen = 0;
    let most = 0;
    for await (const list of batched(counter, { maxBatchSize: 10_000 })) {
      seen += list.length;
      await turn();
      most = Math.max(most, counter.read - seen);
    }
    expect(seen).toBe(1_000_000);
    expect(most).toBeLessThanOrEqual(10_000);
  });
});

describe('age', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
  afterEach(() => jest.useRealTimers());

  test('2 = 2 (age), counted from the first item', async () => {
    const source = tap<number>();
    const lists = batched(source, { maxTimeSinceFirstItem: 100 });
    const list = lists.next();
    await turn();
    source.give(1);
    await turn();
    jest.advanceTimersByTime(60);
    source.give(2);
    await turn();
    jest.advanceTimersByTime(40);
    expect(await list).toEqual({ done: false, value: [1, 2] });
    expect(jest.getTimerCount()).toBe(0);
    await lists.return?.();
  });

  test('a list due by age waits for its consumer, without growing', async () => {
    const source = tap<number>();
    const lists = batched(source, { maxTimeSinceFirstItem: 100 });
    const first = lists.next();
    await turn();
    source.give(1);
    await turn();
    jest.advanceTimersByTime(100);
    await first;
    await turn();
    source.give(2);
    await turn();
    jest.advanceTimersByTime(1000);
    source.give(3); // was being read already; no further read until the list is taken
    await turn();
    expect(await lists.next()).toEqual({ done: false, value: [2] });
    const last = lists.next();
    await turn();
    jest.advanceTimersByTime(100);
    expect(await last).toEqual({ done: false, value: [3] });
    await lists.return?.();
  });

  test.each(['full', 'end', 'left', 'error'])('no timer is left: %s', async (how) => {
    const source = tap<number>();
    const weigh = (n: number): number => {
      if (n < 0) throw new Error('no weight');
      return 1;
    };
    const lists = batched(source, { maxBatchSize: 2, maxTimeSinceFirstItem: 100, weigh });
    const list = lists.next();
    await turn();
    source.give(1);
    await turn();
    expect(jest.getTimerCount()).toBe(1);
    if (how === 'full') source.give(2);
    if (how === 'end') source.finish();
    if (how === 'error') source.give(-1);
    if (how === 'left') await lists.return?.();
    await list;
    expect(jest.getTimerCount()).toBe(0);
  });

  test('also where the source never lets the event loop turn', async () => {
    let reads = 0;
    const lists = batched(
      {
        *[Symbol.iterator]() {
          for (;;) {
            jest.advanceTimersByTime(0);
            jest.setSystemTime(Date.now()); // nothing fires by itself
            reads++;
            yield reads;
            if (reads % 10 === 0) advanceClockOnly(50);
          }
        },
      },
      { maxTimeSinceFirstItem: 100 },
    );
    const { value } = (await lists.next()) as { value: number[] };
    expect(value.length).toBeLessThan(100);
    await lists.return?.();
  });
});

/** Moves performance.now, which jest has faked, without firing a timer. */
function advanceClockOnly(ms: number): void {
  const now = performance.now.bind(performance);
  const at = now() + ms;
  performance.now = () => at;
}

describe('leaving early', () => {
  test('break ends the source', async () => {
    const counter = new Counter();
    for await (const list of batched(counter, { maxBatchSize: 3 })) {
      expect(list).toEqual([0, 1, 2]);
      await turn(); // the next list is complete: no read is under way
      break;
    }
    expect(counter.ended).toBe(1);
  });

  test('does not wait for a source that never answers', async () => {
    const source = tap<number>();
    const lists = batched(source, { maxBatchSize: 1 });
    const list = lists.next();
    await turn();
    source.give(1);
    await list;
    await lists.return?.();
    expect(source.ended).toBe(true);
    expect(await lists.next()).toEqual({ done: true, value: undefined });
  });

  test('settles a next that waits', async () => {
    const lists = batched(tap<number>());
    const waiting = lists.next();
    await lists.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('cancels a web stream, also while it is read', async () => {
    let reason: unknown = 'not cancelled';
    const stream = new ReadableStream<number>({
      start: (controller) => {
        controller.enqueue(1);
      },
      cancel: (why) => {
        reason = why;
      },
    });
    for await (const list of batched(stream, { maxBatchSize: 1 })) {
      expect(list).toEqual([1]);
      break;
    }
    expect(reason).toBeUndefined();
  });

  test('destroys a Node stream', async () => {
    const stream = Readable.from(new Counter());
    for await (const list of batched<number>(stream as AsyncIterable<number>, { maxBatchSize: 3 })) {
      expect(list).toHaveLength(3);
      break;
    }
    await turn();
    expect(stream.destroyed).toBe(true);
  });

  test('destroys a Node stream that waits for more, as a socket does', async () => {
    const stream = new PassThrough({ objectMode: true });
    for (const n of [1, 2]) stream.write(n);
    for await (const list of batched<number>(stream, { maxBatchSize: 2 })) {
      expect(list).toEqual([1, 2]);
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  test('throw ends the source too', async () => {
    const counter = new Counter();
    const lists = batched(counter, { maxBatchSize: 1 });
    await lists.next();
    await turn();
    await expect(lists.throw?.(new Error('enough'))).rejects.toThrow('enough');
    expect(counter.ended).toBe(1);
  });
});

describe('errors', () => {
  test('what was read before an error comes first, then the error once, then the end', async () => {
    const lists = batched(
      (async function* () {
        yield* [1, 2, 3];
        await turn();
        throw new Error('source');
      })(),
      { maxBatchSize: 2 },
    );
    expect((await lists.next()).value).toEqual([1, 2]);
    expect((await lists.next()).value).toEqual([3]);
    await expect(lists.next()).rejects.toThrow('source');
    expect(await lists.next()).toEqual({ done: true, value: undefined });
  });

  test.each<[string, () => AsyncIterable<number> | Iterable<number> | ReadableStream<number>]>([
    [
      'an iterator that throws',
      () => ({
        [Symbol.iterator]: () => ({
          next: () => {
            throw new Error('bad');
          },
        }),
      }),
    ],
    [
      'an iterator that cannot be made',
      () => ({
        [Symbol.iterator]: () => {
          throw new Error('bad');
        },
      }),
    ],
    [
      'a locked stream',
      () => {
        const s = new ReadableStream<number>();
        s.getReader();
        return s;
      },
    ],
    ['an answer that is no object', () => ({ [Symbol.iterator]: () => ({ next: () => 1 as never }) })],
    ['an answer of null', () => ({ [Symbol.iterator]: () => ({ next: () => null as never }) })],
    ['a promise of null', () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(null as never) }) })],
    [
      'a promise of an answer that cannot be read',
      () => {
        const answer = Object.defineProperty({}, 'done', {
          get: () => {
            throw new Error('bad');
          },
        });
        return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(answer as never) }) };
      },
    ],
  ])('%s rejects next', async (_name, make) => {
    const lists = batched(make(), { maxBatchSize: 2 });
    await expect(lists.next()).rejects.toThrow();
    expect(await lists.next()).toEqual({ done: true, value: undefined });
  });

  test('a web stream that failed stayed locked', async () => {
    const stream = new ReadableStream<number>({
      pull: (controller) => {
        controller.error(new Error('bad'));
      },
    });
    await expect(batched(stream, { maxBatchSize: 2 }).next()).rejects.toThrow('bad');
    expect(stream.locked).toBe(false);
  });

  test('eleven readers of one signal were reported as a leak', async () => {
    const abort = new AbortController();
    const add = jest.spyOn(abort.signal, 'addEventListener');
    const remove = jest.spyOn(abort.signal, 'removeEventListener');
    const waiting = Array.from({ length: 11 }, () => batched(tap<number>(), { signal: abort.signal }));
    const left = batched(tap<number>(), { signal: abort.signal });
    const next = [left, ...waiting].map((lists) => lists.next());
    await left.return?.();
    expect(add).toHaveBeenCalledTimes(1);
    abort.abort(new Error('stop'));
    expect((await Promise.allSettled(next)).map(({ status }) => status).join()).toBe(
      ['fulfilled', ...waiting.map(() => 'rejected')].join(),
    );
    const other = new AbortController();
    const off = jest.spyOn(other.signal, 'removeEventListener');
    await listsOf([1, 2], { signal: other.signal });
    expect(off).toHaveBeenCalledTimes(1);
    expect(remove).not.toHaveBeenCalled();
  });

  test('a weigh that throws ends the source', async () => {
    const counter = new Counter();
    const weigh = (n: number): number => {
      if (n === 2) throw new Error('weigh');
      return 1;
    };
    const lists = batched(counter, { maxBatchWeight: 10, weigh });
    expect((await lists.next()).value).toEqual([0, 1]);
    await expect(lists.next()).rejects.toThrow('weigh');
    expect(counter.ended).toBe(1);
  });

  test('an abort rejects with its reason at once, and ends the source', async () => {
    const source = tap<number>();
    const abort = new AbortController();
    const lists = batched(source, { signal: abort.signal });
    const waiting = lists.next();
    await turn();
    source.give(1);
    abort.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
    expect(source.ended).toBe(true);
    expect(await lists.next()).toEqual({ done: true, value: undefined });
  });

  test('a signal that has aborted before reads nothing', async () => {
    const counter = new Counter();
    const lists = batched(counter, { signal: AbortSignal.abort(new Error('before')) });
    await expect(lists.next()).rejects.toThrow('before');
    expect(counter.read).toBe(0);
  });

  test.each<[string, object]>([
    ['maxBatchSize', { maxBatchSize: 0 }],
    ['maxBatchSize', { maxBatchSize: 1.5 }],
    ['maxBatchWeight', { maxBatchWeight: NaN, weigh: () => 1 }],
    ['weigh', { maxBatchWeight: 1 }],
    ['maxTimeSinceFirstItem', { maxTimeSinceFirstItem: '1' }],
    ['signal', { signal: {} }],
    ['maxBatchsize', { maxBatchsize: 1 }],
  ])('wrong options throw OptionsError: %s', (option, options) => {
    expect(() => batched([], options)).toThrow(expect.objectContaining({ name: 'OptionsError', option }) as Error);
  });

  test('null means left out', async () => {
    const options = {
      maxBatchSize: null,
      maxBatchWeight: null,
      weigh: null,
      maxTimeSinceFirstItem: null,
      signal: null,
    };
    expect(await listsOf([1], options)).toEqual([[1]]);
  });

  test('a source that is none throws at once', () => {
    expect(() => batched(7 as never)).toThrow(OptionsError);
  });
});
