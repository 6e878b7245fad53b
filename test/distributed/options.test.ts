import { MemoryBatcher } from '../../collectors/index.js';
import { BadItem, collect, Feed, unpackFrame, type Delivery, type DurableLog } from '../../distributed/index.js';
import { OptionsError } from '../../src/index.js';
import { TestClock } from '../../src/testing.js';

const nothing = async (): Promise<void> => {};

/** Delivers one frame. */
function logOf<Item>(...items: Item[]): DurableLog<Item> {
  const frame: Delivery<Item> = {
    id: 'frame',
    items,
    attempt: 1,
    ack: async () => true,
    retry: nothing,
    extend: () => undefined,
    requeue: nothing,
    bury: nothing,
  };
  const append = async (): Promise<{ duplicate: boolean }> => ({ duplicate: false });
  return {
    largest: 1000,
    open: nothing,
    close: nothing,
    redrive: async () => 0,
    append,
    source: () => ({
      leaseTime: 30_000,
      stop: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield frame;
      },
    }),
  };
}

test('collect with a retry that names no attempts was never to split a batch: it still tries twice', async () => {
  const clock = new TestClock();
  const flushed: number[][] = [];
  const collecting = collect(logOf(1, 2), {
    clock,
    retry: { minDelay: 10 },
    batchFlush({ items }) {
      flushed.push([...items]);
      if (items.includes(2)) throw new Error('a bad row');
    },
  });
  collecting.batcher.on('failed', () => undefined);
  await clock.advance(5000);
  expect(flushed.slice(0, 2)).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(flushed).toContainEqual([1]);
  const closing = collecting.close({ timeout: 10 });
  await clock.advance(5000);
  await closing;
});

test.each([
  ['giveUp', 'drop'],
  ['batchInit', () => ({ items: [] })],
  ['batchFlush', undefined],
  ['maxDeliveries', 0],
  ['backoff', 5],
])('a wrong option of collect throws OptionsError: %s', (option, given) => {
  const options = { batchFlush: nothing, [option]: given };
  expect(() => collect(logOf(), options as never)).toThrow(
    expect.objectContaining({ name: OptionsError.name, option }),
  );
});

test.each([
  ['maxItems', 0],
  ['backoff', 5],
  ['map', 'x'],
  ['clock', {}],
  ['maxItem', 5],
])('a wrong or unknown option of a feed throws OptionsError: %s', (option, given) => {
  const batcher = new MemoryBatcher({ batchFlush: nothing });
  const feeding = (): unknown => new Feed(logOf().source(), batcher, { [option]: given });
  expect(feeding).toThrow(OptionsError);
  expect(feeding).toThrow(new RegExp(`Feed: ${option}: expected .*, given`));
});

test('a frame without items has none, and its last line may end in a line break', () => {
  expect(unpackFrame('')).toEqual([]);
  expect(unpackFrame('1\n2\n')).toEqual([1, 2]);
  expect(unpackFrame('1\n\n2')).toEqual([1, expect.any(BadItem), 2]);
});
