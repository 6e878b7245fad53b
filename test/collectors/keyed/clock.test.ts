import { CloseError } from 'batch-please';
import { bench, note, notes } from './support.js';

afterEach(() => jest.useRealTimers());

describe('A9: a clock that throws', () => {
  const { setTimeout, clearTimeout } = globalThis;
  const broken = (): never => {
    throw new Error('a clock of the user');
  };
  const clockThatThrows = (method: 'now' | 'setTimer' | 'clearTimer') => ({
    now: (): number => (method === 'now' ? broken() : performance.now()),
    setTimer: (fn: () => void, ms: number): unknown => (method === 'setTimer' ? broken() : setTimeout(fn, ms)),
    clearTimer(timer: unknown): void {
      clearTimeout(timer as NodeJS.Timeout);
      if (method === 'clearTimer') broken();
    },
  });

  test.each(['now', 'setTimer', 'clearTimer'] as const)('%s: adds threw, items were refused', async (method) => {
    const { batcher, flushed } = bench({ clock: clockThatThrows(method), maxBatchSize: 2 });
    const refused: string[] = [];
    batcher.on('refused', ({ error }) => void refused.push(error.message));
    for (const item of notes('a1 a2 b1 c1 a3')) expect(batcher.addItem(item)).toBe(true);
    await batcher.flush();
    await batcher.close();
    expect(refused).toEqual([]);
    expect(flushed.sort()).toEqual(['a:1,2 size', 'a:3 demand', 'b:1 demand', 'c:1 demand']);
  });

  test.each(['now', 'setTimer'] as const)('%s: close rejected with its error, not with CloseError', async (method) => {
    const { batcher } = bench({ clock: clockThatThrows(method), batchFlush: () => new Promise(() => undefined) });
    batcher.addItem(note('a1'));
    void batcher.flush().catch(() => undefined);
    await expect(batcher.close({ timeout: 0 })).rejects.toBeInstanceOf(CloseError);
  });
});

describe('fake timers', () => {
  test('those that have left took the timer with them: idle keys were kept for ever', async () => {
    const { batcher } = bench({ clock: undefined, maxBatchSize: 1 });
    jest.useFakeTimers();
    batcher.addItem(note('a1'));
    jest.useRealTimers();
    jest.useFakeTimers(); // others, which know nothing of those timers
    batcher.addItem(note('b1'));
    expect(batcher.state.keys).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(130_000);
    expect(batcher.state.keys).toEqual([]);
  });

  test('those that leave the time alone: idle keys were kept for ever', async () => {
    jest.useFakeTimers({ doNotFake: ['performance', 'Date', 'nextTick', 'queueMicrotask'] });
    const { batcher } = bench({ clock: undefined, maxBatchSize: 1 });
    batcher.addItem(note('a1'));
    await jest.advanceTimersByTimeAsync(30_000);
    batcher.addItem(note('b1'));
    await jest.advanceTimersByTimeAsync(29_000);
    expect(batcher.state.keys).toEqual(['a', 'b']);
    await jest.advanceTimersByTimeAsync(121_000);
    expect(batcher.state.keys).toEqual([]);
  });
});
