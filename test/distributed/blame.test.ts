import { MemoryBatcher } from 'batch-please/collectors';
import { collect, Feed } from 'batch-please/distributed';
import { TestClock, random } from 'batch-please/testing';
import { FaultyLog } from '../sim/feed/faulty-log.js';

const X = 1000;
const NO_FAULTS = { expired: 0, ackLost: 0, confirmationLost: 0, away: 0 };

/** Item X fails at its first `failures` attempts; once a second another item is delivered, never while X is tried. */
async function deliver(failures: number): Promise<{ stored: boolean; dead: number[] }> {
  const clock = new TestClock();
  const log = new FaultyLog(clock, random(1), NO_FAULTS);
  const stored = new Set<number>();
  let left = failures;
  const collecting = collect(log.openFor({ alive: true }), {
    clock,
    maxBatchSize: 1,
    maxDeliveries: 3,
    backoff: () => 500,
    retry: false,
    batchFlush: ({ items }) => {
      if (items.includes(X) && left-- > 0) throw new Error('down');
      for (const item of items) stored.add(item);
    },
  });
  collecting.batcher.on('failed', () => undefined);
  log.append('x', [X]);
  for (let n = 0; n < 60; n++) {
    log.append(`f${n}`, [n]);
    await clock.advance(1000);
  }
  const closed = collecting.close({ timeout: 100 });
  await clock.advance(2000);
  await closed;
  return { stored: stored.has(X), dead: [...log.dead.values()] };
}

test('a sink that was down whenever one item was tried, 10 times, and up in between, got the item buried', async () => {
  expect(await deliver(10)).toEqual({ stored: true, dead: [] });
});

test('an item that fails at every attempt while others are delivered is buried', async () => {
  expect(await deliver(Infinity)).toEqual({ stored: false, dead: [X] });
});

/** Feeds items 1 to 3, one message, to a collector that drops what fails; the sink accepts the first, then fails until `up` ms. */
async function feedUntil(up: number, ids = new Set<string>()): Promise<{ stored: number[]; dead: number[] }> {
  const clock = new TestClock();
  const log = new FaultyLog(clock, random(1), NO_FAULTS);
  const stored: number[] = [];
  const batcher = new MemoryBatcher<number>({
    clock,
    maxBatchSize: 1,
    retry: false,
    giveUp: 'drop',
    batchFlush: ({ items }) => {
      if (stored.length > 0 && clock.now() < up) throw new Error('down');
      stored.push(...items);
    },
  });
  batcher.on('failed', () => undefined);
  const feed = new Feed(log.openFor({ alive: true }).source(), batcher, {
    clock,
    maxDeliveries: 3,
    backoff: () => 500,
    map: (item: number, { id }) => {
      ids.add(`${item} is ${id}`);
      return item;
    },
  });
  log.append('x', [1, 2, 3]);
  await clock.advance(30_000);
  const closed = feed.close({ timeout: 100 });
  await clock.advance(2000);
  await closed;
  return { stored: stored.sort(), dead: [...log.dead.values()].sort() };
}

test('a sink that went down in the middle of a message got the rest of the message buried after three deliveries', async () => {
  expect(await feedUntil(3000)).toEqual({ stored: [1, 2, 3], dead: [] });
});

test('in a quiet log, items that fail at 9 = 3 × maxDeliveries deliveries are buried', async () => {
  expect(await feedUntil(Infinity)).toEqual({ stored: [1], dead: [2, 3] });
});

test('an item that is tried alone had another id than in its message, where a sink looks for ids that it has', async () => {
  const ids = new Set<string>();
  await feedUntil(3000, ids);
  expect([...ids]).toEqual(['1 is x#0', '2 is x#1', '3 is x#2']);
});
