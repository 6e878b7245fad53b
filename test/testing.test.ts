import { TestClock, gate, random } from 'batch-please/testing';
import { settled, watch } from './support/collectors.js';

describe('TestClock', () => {
  test('stands still until it is moved', async () => {
    const clock = new TestClock();
    const start = clock.now();
    await settled();
    expect(clock.now()).toBe(start);
    await clock.advance(5);
    expect(clock.now()).toBe(start + 5);
  });

  test('travels to each timer in turn, at its time; of equals the one set first', async () => {
    const clock = new TestClock();
    const rang: [string, number][] = [];
    const set = (name: string, ms: number): unknown => clock.setTimer(() => rang.push([name, clock.now()]), ms);
    set('c', 30);
    set('a', 10);
    set('b', 20);
    set('b2', 20);
    set('late', 31);
    await clock.advance(30);
    expect(rang).toEqual([
      ['a', 10],
      ['b', 20],
      ['b2', 20],
      ['c', 30],
    ]);
    expect(clock.now()).toBe(30);
    expect(clock.pendingTimers).toBe(1);
  });

  test('rings timers that timers set, if they are due by then', async () => {
    const clock = new TestClock();
    const rang: number[] = [];
    const again = (): void => {
      rang.push(clock.now());
      clock.setTimer(again, 10);
    };
    clock.setTimer(again, 10);
    await clock.advance(35);
    expect(rang).toEqual([10, 20, 30]);
    expect(clock.pendingTimers).toBe(1);
  });

  test('lets promise callbacks settle before the first timer and after each, however long the chain', async () => {
    const clock = new TestClock();
    const log: string[] = [];
    const chain = async (name: string): Promise<void> => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      log.push(name);
    };
    clock.setTimer(() => (log.push('timer 1'), void chain('after 1')), 10);
    clock.setTimer(() => (log.push('timer 2'), void chain('after 2')), 20);
    void chain('before');
    await clock.advance(20);
    expect(log).toEqual(['before', 'timer 1', 'after 1', 'timer 2', 'after 2']);
  });

  test('clearTimer takes a timer back; pendingTimers counts those that are armed', async () => {
    const clock = new TestClock();
    const rang = jest.fn();
    const handle = clock.setTimer(rang, 10);
    clock.setTimer(rang, 20);
    expect(clock.pendingTimers).toBe(2);
    clock.clearTimer(handle);
    clock.clearTimer(handle);
    clock.clearTimer(undefined);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(100);
    expect(rang).toHaveBeenCalledTimes(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a timer of 0 ms rings at advance(0), not before', async () => {
    const clock = new TestClock();
    const rang = jest.fn();
    clock.setTimer(rang, 0);
    await settled();
    expect(rang).not.toHaveBeenCalled();
    await clock.advance(0);
    expect(rang).toHaveBeenCalledTimes(1);
  });

  test('two moves at the same time never turn it back', async () => {
    const clock = new TestClock();
    await Promise.all([clock.advance(100), clock.advance(50)]);
    expect(clock.now()).toBeGreaterThanOrEqual(100);
  });

  test('works under fake timers of the test framework', async () => {
    jest.useFakeTimers();
    try {
      const clock = new TestClock();
      const rang = jest.fn();
      clock.setTimer(rang, 10);
      await clock.advance(10);
      expect(rang).toHaveBeenCalledTimes(1);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('gate', () => {
  test('a call waits; open settles the oldest one, with a result', async () => {
    const sink = gate<[string, number?], string>();
    const calls = [watch(sink('a', 1)), watch(sink('b'))];
    expect(sink.calls).toEqual([['a', 1], ['b']]);
    expect(sink.waiting).toBe(2);
    sink.open('done');
    await settled();
    expect(calls.map(({ state }) => state)).toEqual(['resolved', 'pending']);
    expect(sink.waiting).toBe(1);
    const third = sink('c');
    sink.open();
    sink.open('third');
    await expect(third).resolves.toBe('third');
  });

  test('fail rejects the oldest call', async () => {
    const sink = gate<[number], void>();
    const calls = [watch(sink(1)), watch(sink(2))];
    sink.fail('no');
    await settled();
    expect(calls).toMatchObject([{ state: 'rejected', error: 'no' }, { state: 'pending' }]);
  });

  test('openAll lets all of them and all later ones through', async () => {
    const sink = gate<[number], string>();
    const waiting = [sink(1), sink(2)];
    sink.openAll('through');
    await expect(Promise.all([...waiting, sink(3)])).resolves.toEqual(['through', 'through', 'through']);
    expect(sink.waiting).toBe(0);
    expect(sink.calls).toEqual([[1], [2], [3]]);
  });

  test('throws when no call waits', () => {
    expect(() => gate().open()).toThrow(/no call waits/);
    expect(() => gate().fail(1)).toThrow(/no call waits/);
  });
});

describe('random', () => {
  test('the same seed gives the same numbers, another seed others', () => {
    const draw = (seed: number): number[] => {
      const rng = random(seed);
      return Array.from({ length: 20 }, () => rng.next());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  test('next is in [0, 1) and even: ten cells of 100,000 draws hold 10,000 ± 600', () => {
    const rng = random(1);
    const cells = Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) {
      const cell = Math.floor(rng.next() * 10);
      cells[cell] = (cells[cell] ?? 0) + 1;
    }
    expect(cells).toHaveLength(10);
    for (const cell of cells) expect(Math.abs(cell - 10_000)).toBeLessThan(600);
  });

  test('int(n) is a whole number in [0, n), and reaches all of them', () => {
    const rng = random(2);
    expect(new Set(Array.from({ length: 1000 }, () => rng.int(5)))).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(rng.int(1)).toBe(0);
  });

  test('chance(p): never at 0, always at 1, 300 ± 60 of 1000 at 0.3', () => {
    const rng = random(3);
    const hits = (p: number): number => Array.from({ length: 1000 }, () => rng.chance(p)).filter(Boolean).length;
    expect(hits(0)).toBe(0);
    expect(hits(1)).toBe(1000);
    expect(Math.abs(hits(0.3) - 300)).toBeLessThan(60);
  });

  test('pick takes one of the list, undefined included, and refuses an empty one', () => {
    const rng = random(4);
    expect(new Set(Array.from({ length: 100 }, () => rng.pick(['a', undefined, 'c'])))).toEqual(
      new Set(['a', undefined, 'c']),
    );
    expect(() => rng.pick([])).toThrow(RangeError);
  });
});
