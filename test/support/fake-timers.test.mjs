// Run by fake-timers.test.ts under `node --test`, whose mock timers leave `performance` alone, and `Date` if asked to.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { MemoryBatcher } from '../../collectors/index.ts';
import { BatchServing } from '../../src/index.ts';

// So long that the real time that passes is nothing beside it.
const MINUTE = 60_000;

for (const apis of [['setTimeout'], ['setTimeout', 'Date'], ['setTimeout', 'setInterval', 'Date']]) {
  /** A test whose time is moved by `moveTo(minute)`; `note` notes the minute. */
  const under = (name, body) =>
    test(`${name}, with ${apis.join()} mocked`, async () => {
      mock.timers.enable({ apis });
      const noted = [];
      let minute = 0;
      const moveTo = async (end) => {
        while (minute < end) {
          minute++;
          mock.timers.tick(MINUTE);
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      try {
        await body(moveTo, () => void noted.push(minute), noted);
      } finally {
        mock.timers.reset();
      }
    });

  under('a steady interval', async (moveTo, note, noted) => {
    const batcher = new MemoryBatcher({ flushInterval: 10 * MINUTE, batchFlush: note });
    for (let minute = 1; minute <= 60; minute++) {
      batcher.addItem(minute);
      await moveTo(minute);
    }
    assert.deepEqual(noted, [10, 20, 30, 40, 50, 60]);
    await batcher.close();
  });

  under('an age, batch after batch', async (moveTo, note, noted) => {
    const batcher = new MemoryBatcher({ maxTimeSinceFirstItem: 10 * MINUTE, batchFlush: note });
    for (let minute = 10; minute <= 40; minute += 10) {
      batcher.addItem(minute);
      await moveTo(minute);
    }
    assert.deepEqual(noted, [10, 20, 30, 40]);
    await batcher.close();
  });

  under('retries after 10, 20, 40 and 80 minutes', async (moveTo, note, noted) => {
    const batcher = new MemoryBatcher({
      maxBatchSize: 1,
      retry: { attempts: 5, minDelay: 10 * MINUTE, maxDelay: 80 * MINUTE, jitter: false },
      batchFlush: () => {
        note();
        throw new Error('down');
      },
    });
    batcher.on('failed', () => undefined);
    batcher.on('held', () => undefined);
    batcher.addItem(1);
    await moveTo(300);
    assert.deepEqual(noted, [0, 10, 30, 70, 150]);
    await batcher.close({ flush: false }).catch(() => undefined);
  });

  under("a serving's timeout, and its handler's", async (moveTo) => {
    const serving = new BatchServing({
      batchSize: 9,
      batchTimeout: 10 * MINUTE,
      handlerTimeout: 10 * MINUTE,
      handleBatch: ([first]) => (first === 'hang' ? new Promise(() => undefined) : [first]),
    });
    const answer = serving.dispatch('a');
    await moveTo(10);
    assert.equal(await answer, 'a');
    const late = assert.rejects(serving.dispatch('hang'), /600000 ms/);
    await moveTo(30);
    await late;
    await serving.close();
  });
}

const delivered = [];
const log = new MemoryBatcher({ maxTimeSinceFirstItem: 50, batchFlush: ({ items }) => void delivered.push(...items) });
test('a timer is taken away by one test', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  log.addItem(1);
  mock.timers.reset();
});
test('and the next item sets one again', async () => {
  log.addItem(2);
  while (delivered.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(delivered, [1, 2]);
});
