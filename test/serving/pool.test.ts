import type * as Package from 'batch-please';
import { BatchServing, ClosedError, OptionsError, servingPool } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled, strayErrors } from '../support/collectors.js';

const same = (values: readonly number[]): number[] => [...values];

function pool(options: object = {}) {
  const clock = new TestClock();
  const made: string[] = [];
  const own = servingPool(
    (key: string) => {
      made.push(key);
      return { clock, handleBatch: same, ...options };
    },
    { idleTimeout: 100, clock },
  );
  return { clock, made, own };
}

describe('a serving was closed under a use', () => {
  test('a stream over a source that is silent for longer than idleTimeout', async () => {
    const { clock, own } = pool({ batchTimeout: 0 });
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await new Promise<void>((resolve) => clock.setTimer(resolve, 350));
      yield 2;
    }
    const outputs: number[] = [];
    const reading = (async () => {
      for await (const event of own.get('u').stream(source())) outputs.push(...event.output);
    })();
    for (let i = 0; i < 12; i++) await clock.advance(50);
    await reading;
    expect(outputs).toEqual([1, 2]);
    await clock.advance(300);
    expect([own.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('a reader that pauses', async () => {
    const { clock, own } = pool();
    async function* source(): AsyncGenerator<number> {
      for (let i = 0; i < 20; i++) yield i;
    }
    const stream = own.get('u').stream(source());
    expect(await stream.next()).toMatchObject({ value: { output: [0] } });
    await clock.advance(1000);
    const rest: number[] = [];
    for await (const event of stream) rest.push(...event.output);
    expect(rest).toHaveLength(19);
  });

  test('a stream of work in the caller whose reader pauses; once it is left the serving is idle', async () => {
    for (const leave of ['to its end', 'by a break', 'by a failure'] as const) {
      const handleBatch = (values: readonly number[]): number[] => {
        if (leave === 'by a failure' && values[0] === 2) throw new Error('two');
        return [...values];
      };
      const { clock, own } = pool({ handleBatch });
      const stream = own.get('u').inlineStream([1, 2, 3]);
      expect(await stream.next()).toMatchObject({ value: { output: [1] } });
      await clock.advance(1000);
      if (leave === 'by a failure') await expect(stream.next()).rejects.toThrow('two');
      else expect(await stream.next()).toMatchObject({ value: { output: [2] } });
      if (leave === 'by a break') await stream.return?.();
      for await (const event of stream) expect(event).toMatchObject({ output: [3] });
      await clock.advance(300);
      expect([leave, own.size, clock.pendingTimers]).toEqual([leave, 0, 0]);
    }
  });

  test('work in the caller', async () => {
    const handle = gate<[readonly number[]], number[]>();
    const { clock, own } = pool({ handleBatch: handle });
    const serving = own.get('u');
    const work = serving.inline(1);
    await clock.advance(1000);
    handle.open([10]);
    expect(await work).toBe(10);
    expect(own.get('u')).toBe(serving);
  });

  test('lists that are being mapped', async () => {
    const clock = new TestClock();
    const slow = (values: readonly number[]): Promise<readonly number[]> =>
      new Promise((resolve) =>
        clock.setTimer(() => {
          resolve(values);
        }, 500),
      );
    const own = servingPool(() => ({ clock, mapInputs: slow, mapResults: slow, handleBatch: same }), {
      idleTimeout: 100,
      clock,
    });
    const call = own.get('u').dispatch(1);
    for (let i = 0; i < 15; i++) await clock.advance(100);
    expect(await call).toBe(1);
  });
});

test('an idle serving is closed once, and the next get makes another', async () => {
  const { clock, own, made } = pool();
  const first = own.get('a');
  await clock.advance(60);
  own.get('a');
  await clock.advance(99);
  expect(own.size).toBe(1);
  await clock.advance(100);
  expect(own.size).toBe(0);
  await expect(first.dispatch(1)).rejects.toBeInstanceOf(ClosedError);
  expect(await own.get('a').dispatch(1)).toBe(1);
  expect(made).toEqual(['a', 'a']);
});

test('one that was closed by hand was handed out for ever: it is made anew', async () => {
  const { own, made } = pool();
  await own.get('tenant').close();
  expect(await own.get('tenant').dispatch(1)).toBe(1);
  expect([made, own.size]).toEqual([['tenant', 'tenant'], 1]);
});

test('delete: the next get makes a new one at once, while the old one drains', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const { own, made } = pool({ handleBatch: handle });
  const old = own.get('a');
  const call = old.dispatch(1);
  const deleted = own.delete('a');
  expect(own.get('a')).not.toBe(old);
  handle.open([10]);
  expect([await call, await deleted, await own.delete('none'), made]).toEqual([10, true, false, ['a', 'a']]);
});

test('close waits for what drains after delete', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const { own } = pool({ handleBatch: handle });
  const call = own.get('a').dispatch(1);
  void own.delete('a');
  let closed = false;
  const closing = own.close().then(() => (closed = true));
  await settled();
  expect(closed).toBe(false);
  handle.open([10]);
  await closing;
  expect(await call).toBe(10);
  expect(() => own.get('a')).toThrow(ClosedError);
});

test('servings of another copy of the package: one in use was closed, and one closed by hand was handed out', async () => {
  let other: typeof Package | undefined;
  await jest.isolateModulesAsync(async () => {
    other = await import('batch-please');
  });
  if (other === undefined || other.BatchServing === BatchServing) throw new Error('this is no other copy');
  const { BatchServing: Twin } = other;
  const clock = new TestClock();
  const own = servingPool(() => new Twin({ clock, handleBatch: same }), { idleTimeout: 100, clock });
  async function* source(): AsyncGenerator<number> {
    yield 1;
    await new Promise<void>((resolve) => clock.setTimer(resolve, 350));
    yield 2;
  }
  const stream = own.get('u').stream(source());
  expect(await stream.next()).toMatchObject({ value: { output: [1] } });
  const rest = stream.next();
  for (let i = 0; i < 12; i++) await clock.advance(50);
  expect(await rest).toMatchObject({ value: { output: [2] } });
  await own.get('v').close();
  expect(await own.get('v').dispatch(3)).toBe(3);
  await own.close();
});

test('a close, or a delete, that was not awaited was an unhandled rejection', async () => {
  const stray = await strayErrors(async () => {
    const clock = new TestClock();
    const never = (): Promise<never[]> => new Promise(() => undefined);
    const own = servingPool(() => ({ clock, handleBatch: never }), {
      clock,
    });
    void own.get('a').tryDispatch(1);
    void own.get('b').tryDispatch(1);
    void own.delete('b', { timeout: 30 });
    void own.close({ timeout: 30 });
    await clock.advance(60);
    await settled();
  });
  expect(stray).toEqual([]);
});

test('wrong options were accepted: OptionsError at the call that has them', async () => {
  for (const options of [{ idleTimout: 5 }, { idleTimeout: NaN }, { idleTimeout: -5 }, { idleTimeout: '60000' }, 5]) {
    expect(() => servingPool(() => ({ handleBatch: same }), options as never)).toThrow(OptionsError);
  }
  expect(() => servingPool({} as never)).toThrow(OptionsError);
  const own = servingPool(() => ({ handleBatch: same, batchSize: 0 }));
  expect(() => own.get('a')).toThrow(OptionsError);
  expect(own.size).toBe(0);
  await expect(own.delete('a', { nonsense: 1 } as never)).rejects.toBeInstanceOf(OptionsError);
  await expect(own.close({ nonsense: 1 } as never)).rejects.toBeInstanceOf(OptionsError);
  await own.close();
});

test('idleTimeout: Infinity sets no timer', async () => {
  const clock = new TestClock();
  const own = servingPool(() => ({ clock, handleBatch: same }), { idleTimeout: Infinity, clock });
  own.get('a');
  expect(clock.pendingTimers).toBe(0);
  await own.close();
});

test('servings of a class, and options with maps, have their types', async () => {
  class Squares extends BatchServing<number, number> {
    override handleBatch(values: readonly number[]): number[] {
      return values.map((value) => value * value);
    }
  }
  const classes = servingPool(() => new Squares());
  const mapped = servingPool((key: string) => ({
    mapInputs: (values: readonly string[]) => values.map(Number),
    handleBatch: (values: readonly number[]) => values.map((value) => `${key}${String(value + 1)}`),
  }));
  const result: Promise<string> = mapped.get('k').dispatch('1');
  expect([await classes.get(1).dispatch(3), await result]).toEqual([9, 'k2']);
  await Promise.all([classes.close(), mapped.close()]);
});
