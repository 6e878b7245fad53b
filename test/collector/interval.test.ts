import { TestClock } from 'batch-please/testing';
import { bench, flushedBy, sink } from '../support/collectors.js';

describe('flushInterval', () => {
  test('is a grid from construction, not from the first item: added at 70, flushed at 100 (interval)', async () => {
    const { clock, batcher, sizes, times } = bench({ flushInterval: 100 });
    await clock.advance(70);
    batcher.addItem(1);
    await clock.advance(200);
    expect(times).toEqual([100]);
    expect(sizes).toEqual(['1 (interval)']);
  });

  test('is moved by no other flush: full at 150, the rest at 200', async () => {
    const { clock, batcher, sizes, times } = bench({ flushInterval: 100, maxBatchSize: 2 });
    await clock.advance(150);
    batcher.addItems([1, 2, 3]);
    await clock.advance(100);
    expect(times).toEqual([150, 200]);
    expect(sizes).toEqual(['2 (size)', '1 (interval)']);
  });

  test('is not moved by idle time: added at 1,030, flushed at 1,100', async () => {
    const { clock, batcher, times } = bench({ flushInterval: 100 });
    await clock.advance(1030);
    batcher.addItem(1);
    await clock.advance(500);
    expect(times).toEqual([1100]);
  });

  test('does not drift: every tick of 1,000 is a multiple of the interval', async () => {
    const { clock, batcher, times } = bench({ flushInterval: 7 });
    for (let item = 0; item < 1000; item++) {
      batcher.addItem(item);
      await clock.advance(7);
    }
    expect(times).toEqual(Array.from({ length: 1000 }, (_, i) => 7 * (i + 1)));
  });

  test('an item added at a tick waits for the next one: where the division was inexact, it was flushed without end', async () => {
    // As under fake timers that came after the batcher: whole milliseconds behind a moment that has a fraction.
    const whole = new TestClock();
    const clock = {
      now: () => 713.0915803598381 + whole.now(), // the 16th tick divided by the interval is less than 16
      setTimer: (fn: () => void, ms: number) => whole.setTimer(fn, ms),
      clearTimer: (timer: unknown) => {
        whole.clearTimer(timer);
      },
    };
    const times: number[] = [];
    const { batcher } = bench({
      clock,
      flushInterval: 1000,
      batchFlush() {
        times.push(whole.now());
        if (times.length < 100) batcher.addItem(times.length);
      },
    });
    batcher.addItem(0);
    await whole.advance(20_000);
    // A timer may be set for a fraction more than the interval, and is rounded up.
    expect(times.map((at) => Math.floor(at / 1000))).toEqual(Array.from({ length: 20 }, (_, tick) => tick + 1));
  });

  test('goes on by the grid after a slow flush: begun at 100, ended at 250, the next at 300', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ flushInterval: 100, batchFlush: flush });
    const began: number[] = [];
    batcher.addItem(1);
    await clock.advance(100);
    await clock.advance(150);
    flush.open();
    await clock.advance(10); // 260
    batcher.addItem(2);
    await clock.advance(39);
    expect(flushedBy(flush)).toEqual([[1]]);
    await clock.advance(1);
    began.push(clock.now());
    expect(flushedBy(flush)).toEqual([[1], [2]]);
    expect(began).toEqual([300]);
  });

  test('A6: holds no timer while there is nothing to flush', async () => {
    const { clock, batcher } = bench({ flushInterval: 100 });
    expect(clock.pendingTimers).toBe(0);
    batcher.addItem(1);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(100);
    expect(clock.pendingTimers).toBe(0);
  });

  test.each([1, 2, 3, 4])('an interval of %d ms works', async (flushInterval) => {
    const { clock, batcher, times } = bench({ flushInterval, flushJitter: 0.2 });
    batcher.addItem(1);
    await clock.advance(10);
    expect(times).toHaveLength(1);
  });
});

describe('flushJitter', () => {
  /** The delay behind its place on the grid of each of 300 ticks. */
  async function delays(flushJitter: number | undefined): Promise<number[]> {
    const { clock, batcher, times } = bench({ flushInterval: 100, flushJitter });
    for (let tick = 1; tick <= 300; tick++) {
      // Behind the latest possible end of the tick before, as long as that is below the whole interval.
      await clock.advance(tick * 100 - 1 - clock.now());
      batcher.addItem(tick);
      await clock.advance(tick * 100 + 98 - clock.now());
    }
    return times.map((at, index) => at - 100 * (index + 1));
  }

  test('is 0 by default: every tick is on the grid', async () => {
    expect(new Set(await delays(undefined))).toEqual(new Set([0]));
  });

  test('0.5 delays each tick by up to half the interval, drawn anew for each, and the grid stays', async () => {
    const all = await delays(0.5);
    expect(all).toHaveLength(300);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...all)).toBeLessThanOrEqual(50);
    // 300 draws, evenly from 0 to 50: the extremes and the mean say so beyond doubt.
    expect(Math.min(...all)).toBeLessThan(10);
    expect(Math.max(...all)).toBeGreaterThan(40);
    const mean = all.reduce((sum, delay) => sum + delay, 0) / all.length;
    expect(mean).toBeGreaterThan(15);
    expect(mean).toBeLessThan(35);
  });
});
