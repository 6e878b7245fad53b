import { TestClock } from 'batch-please/testing';
import { Alarm, systemClock } from '../../src/core/clock.js';

const LONGEST = 2 ** 31 - 1;
const DAY = 24 * 60 * 60 * 1000;

function ringing() {
  const clock = new TestClock();
  const asked: number[] = [];
  const cleared: unknown[] = [];
  const setTimer = clock.setTimer.bind(clock);
  const clearTimer = clock.clearTimer.bind(clock);
  clock.setTimer = (fn, ms) => {
    asked.push(ms);
    return setTimer(fn, ms);
  };
  clock.clearTimer = (handle) => {
    cleared.push(handle);
    clearTimer(handle);
  };
  const rings: number[] = [];
  const alarm = new Alarm(clock, (now) => rings.push(now), false);
  return { clock, alarm, asked, cleared, rings };
}

describe('Alarm', () => {
  test('rings once, when the deadline has come', async () => {
    const { clock, alarm, rings } = ringing();
    alarm.set(100);
    await clock.advance(99);
    expect(rings).toEqual([]);
    await clock.advance(1000);
    expect(rings).toEqual([100]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('Infinity disarms it', async () => {
    const { clock, alarm, rings } = ringing();
    alarm.set(100);
    alarm.set(Infinity);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(1000);
    expect(rings).toEqual([]);
  });

  test('a deadline that moves earlier rings earlier', async () => {
    const { clock, alarm, rings } = ringing();
    alarm.set(100);
    alarm.set(50);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(1000);
    expect(rings).toEqual([50]);
  });

  test('a deadline that moves later, again and again, rings once at the last, with one timer more', async () => {
    const { clock, alarm, rings, asked } = ringing();
    for (let deadline = 100; deadline <= 500; deadline++) alarm.set(deadline);
    expect(asked).toHaveLength(1);
    await clock.advance(499);
    expect(rings).toEqual([]);
    await clock.advance(1);
    expect(rings).toEqual([500]);
    expect(asked).toEqual([100, 400]);
  });

  test('a deadline in the past rings at the next moment, not within set', async () => {
    const { clock, alarm, rings } = ringing();
    await clock.advance(100);
    alarm.set(5);
    alarm.set(-Infinity);
    expect(rings).toEqual([]);
    await clock.advance(0);
    expect(rings).toHaveLength(1);
    expect(rings[0]).toBeGreaterThanOrEqual(100);
  });

  test('the same deadline again touches no timer', () => {
    const { alarm, asked, cleared } = ringing();
    for (let i = 0; i < 1000; i++) alarm.set(100);
    expect([asked.length, cleared.length]).toEqual([1, 0]);
  });

  test.each([LONGEST, LONGEST + 1, 60 * DAY, 1000 * DAY])(
    'never asks for more than 2^31 − 1 ms (%d)',
    async (deadline) => {
      const { clock, alarm, rings, asked } = ringing();
      alarm.set(deadline);
      await clock.advance(deadline - 1);
      expect(rings).toEqual([]);
      await clock.advance(1);
      expect(rings).toEqual([deadline]);
      expect(Math.max(...asked)).toBeLessThanOrEqual(LONGEST);
      expect(asked).toHaveLength(Math.ceil(deadline / LONGEST));
    },
  );

  test('a fraction is rounded up: whole milliseconds are asked for, and it never rings early', async () => {
    const { clock, alarm, rings, asked } = ringing();
    alarm.set(10.25);
    expect(asked).toEqual([11]);
    await clock.advance(11);
    expect(rings).toEqual([11]);
  });

  test('a timer that comes a little early is believed: it rings with the deadline, and does not spin', () => {
    let fire: () => void = () => {};
    let set = 0;
    const rings: number[] = [];
    const early = {
      now: () => 99.9,
      setTimer: (fn: () => void) => {
        fire = fn;
        set++;
      },
      clearTimer: () => {},
    };
    const alarm = new Alarm(early, (now) => rings.push(now), false);
    alarm.set(100);
    fire();
    expect(rings).toEqual([100]);
    expect(set).toBe(1);
  });

  test('may be set while it rings', async () => {
    const clock = new TestClock();
    const rings: number[] = [];
    const alarm = new Alarm(
      clock,
      (now) => {
        rings.push(now);
        if (rings.length < 4) alarm.set(now + 10);
      },
      false,
    );
    alarm.set(10);
    await clock.advance(1000);
    expect(rings).toEqual([10, 20, 30, 40]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('unref lets the process end, if the handle can do that', () => {
    const unref = jest.fn();
    const clock = (handle: unknown) => ({ now: () => 0, setTimer: () => handle, clearTimer: () => {} });
    new Alarm(clock({ unref }), () => {}, false).set(5);
    expect(unref).not.toHaveBeenCalled();
    new Alarm(clock({ unref }), () => {}, true).set(5);
    expect(unref).toHaveBeenCalledTimes(1);
    for (const handle of [undefined, 5, {}]) new Alarm(clock(handle), () => {}, true).set(5);
  });
});

test('the system clock never goes backwards, and obeys fake timers', () => {
  const first = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(first);
  jest.useFakeTimers();
  try {
    const rang = jest.fn();
    systemClock.clearTimer(systemClock.setTimer(rang, 10));
    systemClock.setTimer(rang, 20);
    jest.advanceTimersByTime(20);
    expect(rang).toHaveBeenCalledTimes(1);
  } finally {
    jest.useRealTimers();
  }
});
