import { PartialFlushError } from 'batch-please';
import { type MemoryBatch, MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import { expectBalanced, settled, strayErrors } from '../support/collectors.js';

type Then = (resolve: (value?: unknown) => void, reject: (error: unknown) => void) => void;

/** A native promise whose `then` a program has replaced. */
function patched(then: Then): Promise<void> {
  return Object.defineProperty(Promise.resolve(), 'then', { value: then });
}

const no = new Error('no');
const ways: [string, Then][] = [
  [
    'throws',
    () => {
      throw no;
    },
  ],
  ['rejects', (_, reject) => reject(no)],
];

describe('A2, A4: a promise whose then was replaced', () => {
  test.each(ways)('one of batchPostFlush that %s wedged the batcher: reported and tried again', async (_, then) => {
    const clock = new TestClock();
    let calls = 0;
    const batcher = new MemoryBatcher<number>({
      clock,
      maxBatchSize: 1,
      retry: { minDelay: 10, jitter: false },
      batchFlush() {},
      batchPostFlush: () => (calls++ === 0 ? patched(then) : undefined),
    });
    const failed: unknown[] = [];
    batcher.on('failed', ({ error }) => failed.push(error));
    const stray = await strayErrors(async () => {
      batcher.addItem(1);
      await settled();
    });
    await clock.advance(10);
    expect({ stray, failed, calls }).toEqual({ stray: [], failed: [no], calls: 2 });
    await batcher.close();
  });

  test.each(ways)('one of batchAddItem that %s refuses its item, and nothing waits behind it', async (_, then) => {
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 1,
      batchAddItem: ({ items }, item) => (item === 1 ? patched(then) : void items.push(item)),
      batchFlush() {},
    });
    const refused: number[] = [];
    batcher.on('refused', ({ item }) => refused.push(item));
    batcher.addItem(1);
    await batcher.deliverItem(2);
    expect(refused).toEqual([1]);
    expectBalanced(batcher);
  });

  test('one of batchFlush whose then returns nothing is waited for, and not taken for delivered', async () => {
    let deliver = (): void => undefined;
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 1,
      batchFlush: () =>
        patched((resolve) => {
          deliver = resolve;
        }),
    });
    batcher.addItem(1);
    await settled();
    expect(batcher.state.counts.delivered).toBe(0);
    deliver();
    await batcher.flush();
    expect(batcher.state.counts.delivered).toBe(1);
  });
});

describe('A9: hooks that are getters', () => {
  test.each(['batchPostFlush', 'batchDeadLetter'] as const)(
    '%s, a getter that throws: the promises of its batch never settled',
    async (hook) => {
      const batcher = new MemoryBatcher<number>({
        retry: { attempts: 1 },
        giveUp: 'drop',
        batchFlush: () => {
          if (hook === 'batchDeadLetter') throw no;
        },
      });
      const failed: unknown[] = [];
      batcher.on('failed', ({ error }) => failed.push(error));
      batcher.on('dropped', () => {});
      Object.defineProperty(batcher, hook, {
        get: () => {
          throw new Error('getter');
        },
      });
      const outcome = batcher.deliverItem(1).then(
        () => 'delivered',
        () => 'given up',
      );
      await batcher.flush().catch(() => undefined);
      expect(await outcome).toBe(hook === 'batchPostFlush' ? 'delivered' : 'given up');
      expect(failed).toEqual([new Error('getter')]);
      expectBalanced(batcher);
    },
  );

  test('a hook that was given as an option can be replaced on the instance, as a method can', async () => {
    const batcher = new MemoryBatcher<number>({
      batchFlush: () => {
        throw new Error('the old one');
      },
    });
    batcher.addItem(1);
    const seen: number[] = [];
    batcher.batchFlush = ({ items }: MemoryBatch<number>) => void seen.push(...items);
    await batcher.flush();
    expect(seen).toEqual([1]);
  });
});

describe('errors of a PartialFlushError', () => {
  /** What of the four items is delivered by the first attempt. */
  async function delivered(errors: readonly unknown[]): Promise<{ delivered: number; error?: unknown }> {
    let calls = 0;
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 4,
      clock: new TestClock(),
      batchFlush: () => {
        if (calls++ === 0) throw new PartialFlushError(errors);
      },
    });
    let error: unknown;
    batcher.on('failed', (failed) => {
      error = failed.error;
    });
    batcher.addItems([0, 1, 2, 3]);
    await settled();
    return { delivered: batcher.state.counts.delivered, ...(error !== undefined && { error }) };
  }

  const sparse = (length: number, entries: Record<number, unknown>): unknown[] =>
    Object.assign(new Array<unknown>(length), entries);

  test('a list of holes only names no item: the attempt had failed', async () => {
    expect(await delivered(sparse(4, {}))).toEqual({ delivered: 4 });
  });

  test('holes stand for delivered items, in a list of either kind', async () => {
    expect(await delivered(sparse(4, { 2: no }))).toEqual({ delivered: 3, error: no });
    expect(await delivered(sparse(2, { 1: [3, no] }))).toEqual({ delivered: 3, error: no });
  });

  test.each([['x'], [1n], [null], [undefined], ['-1'], ['1.5'], [-1], [0.5], [NaN], [4], [Infinity]])(
    'a pair whose position is %p blamed item 0: now it fails the attempt',
    async (position) => {
      const result = await delivered([[position, no]]);
      expect(result.delivered).toBe(0);
      expect(String(result.error)).toMatch(/there is no item at position .* in a batch of 4/);
    },
  );
});

describe('a generator function as a hook, which runs nothing by itself', () => {
  const generators: [string, () => unknown][] = [
    ['a generator', function* () {}],
    ['an async generator', async function* () {}],
    ['a promise of a generator', async () => (function* () {})()],
  ];

  test.each(generators)(
    'batchFlush that returns %s had its batch counted as delivered: it is held',
    async (_, hook) => {
      const batcher = new MemoryBatcher<number>({ maxBatchSize: 1, retry: false, batchFlush: hook });
      const held: string[] = [];
      batcher.on('held', ({ error }) => held.push(String(error)));
      batcher.addItem(1);
      await settled();
      expect(held).toEqual(['TypeError: batchFlush returned a generator, which nobody runs; an async function is run']);
      expect(batcher.state).toMatchObject({ pending: 1, counts: { delivered: 0 } });
      expect(batcher.clear()).toEqual([{ items: [1] }]);
    },
  );

  test.each(generators.slice(0, 2))(
    'batchPostFlush and batchDeadLetter that return %s were taken for done',
    async (_, hook) => {
      const failed: string[] = [];
      for (const rejects of [false, true]) {
        const batcher = new MemoryBatcher<number>({
          maxBatchSize: 1,
          retry: false,
          giveUp: 'drop',
          batchFlush: () => {
            if (rejects) throw no;
          },
          batchPostFlush: hook,
          batchDeadLetter: hook,
        });
        batcher.on('dropped', () => {});
        batcher.on('failed', (event) => failed.push(`${event.hook}: ${event.error instanceof TypeError}`));
        batcher.addItem(1);
        await settled();
        expectBalanced(batcher);
      }
      expect(failed).toEqual(['batchPostFlush: true', 'batchDeadLetter: true']);
    },
  );
});

test('pause() while closing stopped the deliveries, which close() had resumed', async () => {
  const clock = new TestClock();
  const delivered: number[] = [];
  const batcher = new MemoryBatcher<number>({
    clock,
    maxBatchSize: 1,
    batchFlush: async ({ items }) => void delivered.push(...items),
  });
  batcher.on('flushed', () => {
    batcher.pause();
  });
  batcher.addItems([1, 2, 3]);
  const closed = batcher.close();
  await settled();
  expect(delivered).toEqual([1, 2, 3]);
  await closed;
});
