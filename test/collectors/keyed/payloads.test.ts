import { bench, note } from './support.js';

test('an item that came after close() was refused without its key', async () => {
  const { batcher } = bench();
  const keys: unknown[] = [];
  batcher.on('refused', ({ key, error }) => keys.push([key, error.name]));
  await batcher.close();
  expect(batcher.addItem(note('a1'))).toBe(false);
  await expect(batcher.deliverItem(note('b1'))).rejects.toThrow('it takes no more items');
  expect(keys).toEqual([
    ['a', 'ClosedError'],
    ['b', 'ClosedError'],
  ]);
});

test('a key that cannot be determined after close() is none, and the item is refused as closed', async () => {
  const { batcher } = bench({
    key: () => {
      throw new Error('no key');
    },
  });
  const keys: unknown[] = [];
  batcher.on('refused', ({ key, error }) => keys.push([key, error.name]));
  await batcher.close();
  expect(batcher.addItem(note('a1'))).toBe(false);
  expect(keys).toEqual([[undefined, 'ClosedError']]);
});

test('batchTerminate was not called when close() gave up items that were in no batch', async () => {
  const terminated: unknown[] = [];
  const { clock, batcher } = bench({
    batchInit: () => new Promise(() => {}),
    batchTerminate: (batch, key) => terminated.push([batch, key]),
  });
  batcher.on('refused', () => {});
  batcher.addItem(note('a1'));
  const closed = batcher.close({ timeout: 10 });
  await clock.advance(2000);
  await expect(closed).rejects.toMatchObject({ undelivered: 1, batches: [] });
  expect(terminated).toEqual([[undefined, undefined]]);
});

test.each([true, false])(
  'batchTerminate is called for each batch that is left, and not without one (flush: %s)',
  async (flush) => {
    const terminated: unknown[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      batchFlush: () => new Promise(() => {}),
      batchTerminate: (batch, key) => terminated.push([batch?.items.map(({ n }) => n).join(), key]),
    });
    batcher.addItem(note('a1'));
    batcher.addItem(note('b1'));
    const closed = batcher.close({ timeout: 10, flush }).catch(() => {});
    await clock.advance(2000);
    await closed;
    expect(terminated.sort()).toEqual([
      ['1', 'a'],
      ['1', 'b'],
    ]);
  },
);
