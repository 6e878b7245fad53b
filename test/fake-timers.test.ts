// What users do in their own tests: jest replaces the timers, and time moves when they say so.
import { BatchServing } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import { mustRun, root } from './support/project.js';

afterEach(() => jest.useRealTimers());

describe.each<[string, Parameters<typeof jest.useFakeTimers>[0]]>([
  ['all of them', {}],
  ['timers only, the clock goes on', { doNotFake: ['performance', 'Date', 'nextTick', 'queueMicrotask'] }],
  ['the clock too, but no microtasks', { doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] }],
])('fake timers of jest: %s', (_name, config) => {
  beforeEach(() => {
    jest.useFakeTimers(config);
  });

  test('a collector flushes by age, and retries, when time is moved', async () => {
    const batches: number[][] = [];
    let fails = 1;
    const batcher = new MemoryBatcher<number>({
      maxTimeSinceFirstItem: 60_000,
      retry: { minDelay: 10_000, jitter: false },
      batchFlush: ({ items }) => {
        if (fails-- > 0) throw new Error('once');
        batches.push(items);
      },
    });
    batcher.on('failed', () => undefined);
    batcher.addItem(1);
    await jest.advanceTimersByTimeAsync(59_000);
    expect(fails).toBe(1);
    await jest.advanceTimersByTimeAsync(1_000);
    expect([fails, batches]).toEqual([0, []]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(batches).toEqual([[1]]);
    expect(jest.getTimerCount()).toBe(0);
    await batcher.close();
  });

  test('a serving executes by time when time is moved', async () => {
    const serving = new BatchServing({
      batchSize: 10,
      batchTimeout: 60_000,
      handleBatch: (values: readonly number[]) => values.map((value) => -value),
    });
    const answer = serving.dispatch(1);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(await answer).toBe(-1);
    await serving.close();
  });
});

test('fake timers of node:test: time moves the collectors and servings, and what it takes away is set again', async () => {
  await mustRun(process.execPath, ['--import', 'tsx', '--test', 'test/support/fake-timers.test.mjs'], root);
});

test('a timer that jest takes away is set again at the next add', async () => {
  const batches: number[][] = [];
  const batcher = new MemoryBatcher<number>({
    maxTimeSinceFirstItem: 600_000,
    batchFlush: ({ items }) => void batches.push(items),
  });
  jest.useFakeTimers({ doNotFake: ['performance', 'nextTick', 'queueMicrotask'] });
  batcher.addItem(1);
  jest.useRealTimers();
  jest.useFakeTimers({ doNotFake: ['performance', 'nextTick', 'queueMicrotask'] });
  batcher.addItem(2);
  expect(jest.getTimerCount()).toBe(1);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(batches).toEqual([[1, 2]]);
  await batcher.close();
});

// Jest's clock begins at 0, behind the time at which the batcher was made; real time is behind where jest's clock ends.
describe('a batcher made before the fake timers, whose clock is behind its own', () => {
  const flushed: number[] = [];
  async function fakeFor(options: object): Promise<MemoryBatcher<number>> {
    flushed.length = 0;
    jest.useFakeTimers({ now: 0 });
    await jest.advanceTimersByTimeAsync(3_600_000);
    const batcher = new MemoryBatcher<number>({ ...options, batchFlush: ({ items }) => void flushed.push(...items) });
    jest.useRealTimers();
    jest.useFakeTimers({ now: 0 });
    return batcher;
  }

  test('its flushInterval came as late as the clocks differ, or never', async () => {
    const batcher = await fakeFor({ flushInterval: 1000 });
    batcher.addItem(1);
    await jest.advanceTimersByTimeAsync(1000);
    expect(flushed).toEqual([1]);
    await batcher.close();
  });

  test.each(['maxTimeSinceFirstItem', 'maxTimeSinceLastFlush', 'maxTimeSinceLastItem'])(
    'what waits for %s when the timers are replaced was not flushed after the next add',
    async (option) => {
      const batcher = await fakeFor({ [option]: 1000 });
      batcher.addItem(1);
      await jest.advanceTimersByTimeAsync(2000);
      expect(flushed).toEqual([1]);
      batcher.addItem(2);
      jest.useRealTimers();
      jest.useFakeTimers({ now: 0 });
      batcher.addItem(3);
      await jest.advanceTimersByTimeAsync(2000);
      expect(flushed).toEqual([1, 2, 3]);
      await batcher.close();
    },
  );
});
