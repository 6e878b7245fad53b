import {
  BatchServing,
  CloseError,
  ClosedError,
  ItemError,
  MissingHookError,
  OptionsError,
  OverflowError,
  ResultCountError,
  TimeoutError,
  servingPool,
} from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled, strayErrors } from '../support/collectors.js';

const doubled = (values: readonly number[]): number[] => values.map((value) => value * 2);

/** A serving on a clock that stands still, whose batches wait until the test lets them through. */
function bench(options: object = {}) {
  const clock = new TestClock();
  const handle = gate<[readonly number[], { reason: string; partition: number; signal: AbortSignal }], unknown>();
  const serving = new BatchServing<number, number>({
    clock,
    batchSize: 3,
    batchTimeout: 100,
    handleBatch: handle as never,
    ...options,
  });
  const sums = (): string =>
    handle.calls.map(([values, { reason }]) => `${String(values.length)} (${reason})`).join(' + ');
  return { clock, handle, serving, sums };
}

describe('packing', () => {
  test('1+1+1=3 (size), at once and without waiting', async () => {
    const { serving, handle, sums } = bench();
    handle.openAll([1, 2, 3]);
    expect(await Promise.all([serving.dispatch(1), serving.dispatch(2), serving.dispatch(3)])).toEqual([1, 2, 3]);
    expect(sums()).toBe('3 (size)');
  });

  test('2+2+2=3+3: a call is split over batches and comes back in order', async () => {
    const { serving, handle, sums } = bench({ partitions: 2 });
    const calls = [
      [1, 2],
      [3, 4],
      [5, 6],
    ].map((values) => serving.dispatchMany(values));
    await settled();
    expect(sums()).toBe('3 (size) + 3 (size)');
    // The second batch finishes first in the second half: each call gets its own all the same.
    handle.open([10, 20, 30]);
    handle.open([40, 50, 60]);
    expect(await Promise.all(calls)).toEqual([
      [10, 20],
      [30, 40],
      [50, 60],
    ]);
  });

  test('3+4+5=6+6', async () => {
    const sizes: number[] = [];
    const six = new BatchServing({
      batchSize: 6,
      handleBatch: (values: readonly number[]) => {
        sizes.push(values.length);
        return doubled(values);
      },
    });
    const lists = [
      [1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 11, 12],
    ];
    expect(await Promise.all(lists.map((list) => six.dispatchMany(list)))).toEqual(lists.map(doubled));
    expect(sizes).toEqual([6, 6]);
  });

  const batches = [0, 1, 2];
  const orders = batches.flatMap((a) => batches.filter((b) => b !== a).map((b) => [a, b, 3 - a - b]));
  test.each(orders)(
    '1+5=3+3 and 1: batches that end in the order %i, %i, %i answer each in its place',
    async (...ends) => {
      const parts: ((results: number[]) => void)[] = [];
      const handleBatch = (): Promise<number[]> => new Promise((resolve) => parts.push(resolve));
      const { serving } = bench({ partitions: 3, handleBatch });
      const calls = Promise.all([serving.dispatch(0), serving.dispatchMany([1, 2, 3, 4, 5]), serving.settleMany([6])]);
      void serving.flush();
      const results = [[0, 10, 20], [30, 40, 50], [60]];
      for (const end of ends) {
        parts[end]?.(results[end] ?? []);
        await new Promise(setImmediate);
      }
      expect(await calls).toEqual([0, [10, 20, 30, 40, 50], [{ status: 'fulfilled', value: 60 }]]);
    },
  );

  test('2+2+2=2+2+2 with keepCallsWhole, and with hooks', async () => {
    for (const options of [{ keepCallsWhole: true }, { hooks: ['progress'] }]) {
      const { serving, handle, clock, sums } = bench(options);
      handle.openAll([0, 0]);
      const calls = [1, 2, 3].map((value) => serving.dispatchMany([value, value]));
      await clock.advance(100);
      await Promise.all(calls);
      expect(sums()).toBe('2 (size) + 2 (size) + 2 (age)');
    }
  });

  test('2 (age): the window is from the first value, and later ones do not extend it', async () => {
    const { serving, clock, handle, sums } = bench();
    void serving.dispatch(1);
    await clock.advance(60);
    void serving.dispatch(2);
    await clock.advance(39);
    expect(sums()).toBe('');
    await clock.advance(1);
    expect(sums()).toBe('2 (age)');
    handle.openAll([1, 2]);
    await serving.close();
  });

  test('2 => 3: while every partition is busy the open batch grows, and a full one queues', async () => {
    const { serving, clock, handle, sums } = bench();
    const first = serving.dispatchMany([1, 2]);
    await clock.advance(100);
    const second = serving.dispatch(3);
    await clock.advance(1000);
    expect(sums()).toBe('2 (age)');
    const third = serving.dispatch(4);
    handle.open([1, 2]);
    await settled();
    expect(sums()).toBe('2 (age) + 2 (age)');
    handle.openAll([3, 4]);
    expect(await Promise.all([first, second, third])).toEqual([[1, 2], 3, 4]);
  });

  test('batchTimeout 0: the end of the turn if a partition is idle, and as soon as one is otherwise', async () => {
    for (const clock of [new TestClock(), undefined]) {
      const { serving, handle, sums } = bench({ batchTimeout: 0, batchSize: 10, clock });
      const first = [serving.dispatch(1), serving.dispatch(2)];
      expect(sums()).toBe('');
      await settled();
      expect(sums()).toBe('2 (age)');
      const second = serving.dispatch(3);
      await settled();
      handle.open([1, 2]);
      await Promise.resolve();
      await Promise.resolve();
      await Promise.all(first);
      await Promise.resolve();
      expect(sums()).toBe('2 (age) + 1 (age)');
      handle.open([3]);
      expect(await second).toBe(3);
    }
  });

  test('batchTimeout 0: 4 = 4 in one turn, then 2 = 2 in the next, not 1 + 1', async () => {
    for (const clock of [new TestClock(), undefined]) {
      const { serving, handle, sums } = bench({ batchTimeout: 0, batchSize: 4, partitions: 2, clock });
      handle.openAll([1, 2, 3, 4]);
      await serving.dispatchMany([1, 2, 3, 4]);
      await settled();
      handle.openAll([5, 6]);
      await Promise.all([serving.dispatch(5), serving.dispatch(6)]);
      expect(sums()).toBe('4 (size) + 2 (age)');
    }
  });

  test('5+5+1=5+6 by weight; a heavier one goes alone', async () => {
    const seen: number[][] = [];
    const serving = new BatchServing({
      batchSize: 10,
      batchTimeout: 0,
      maxBatchWeight: 6,
      weigh: (value: number) => value,
      handleBatch: (values: readonly number[]) => {
        seen.push([...values]);
        return doubled(values);
      },
    });
    expect(await serving.dispatchMany([5, 5, 1, 9, 2])).toEqual([10, 10, 2, 18, 4]);
    expect(seen).toEqual([[5], [5, 1], [9], [2]]);
  });

  test('idle partitions take turns', async () => {
    const seen: number[] = [];
    const serving = new BatchServing({
      partitions: 3,
      handleBatch: (values: readonly number[], { partition }) => {
        seen.push(partition);
        return doubled(values);
      },
    });
    for (let i = 0; i < 6; i++) await serving.dispatch(i);
    expect(seen).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test('a list is one value for dispatch; lists are read at the call', async () => {
    const serving = new BatchServing({
      batchSize: 10,
      batchTimeout: 0,
      handleBatch: (values: readonly number[][]) => values.map((list) => list.length),
    });
    expect(await serving.dispatch([1, 2, 3])).toBe(3);
    const list = [[1], [2, 2]];
    const results = serving.dispatchMany(list);
    list.pop();
    expect(await results).toEqual([1, 2]);
    expect(await serving.dispatchMany([])).toEqual([]);
    expect(serving.state.counts.batches).toBe(2);
  });
});

describe('failures', () => {
  test('2+3=>one slot fails: that caller only', async () => {
    const { serving, handle } = bench();
    const calls = [serving.tryDispatch(1), serving.tryDispatchMany([2, 3])];
    const error = new Error('slot');
    handle.open([10, error, 30]);
    expect(await Promise.all(calls)).toEqual([
      { ok: true, value: 10 },
      { ok: false, error },
    ]);
    expect(serving.state.counts).toMatchObject({ delivered: 1, failed: 2 });
  });

  test('3=>crash, 3: a handler that throws fails its own batch and nothing else', async () => {
    const { serving, handle } = bench();
    const events: string[] = [];
    serving.on('failed', ({ size, error }) => events.push(`failed ${String(size)} ${String(error)}`));
    serving.on('executed', ({ size, calls, reason }) => events.push(`${String(size)} of ${String(calls)} ${reason}`));
    const first = serving.tryDispatchMany([1, 2, 3]);
    const second = serving.tryDispatchMany([4, 5, 6]);
    handle.fail(new Error('crash'));
    await settled();
    handle.open([4, 5, 6]);
    expect(await first).toMatchObject({ ok: false, error: { message: 'crash' } });
    expect(await second).toEqual({ ok: true, value: [4, 5, 6] });
    expect(events).toEqual(['failed 3 Error: crash', '3 of 1 size']);
  });

  test.each([[[1, 2]], [[1, 2, 3, 4]], [undefined], [null], [{ length: 3 }], ['abc']])(
    'the wrong answer fails the batch: %j',
    async (answer) => {
      const { serving, handle } = bench();
      const calls = [1, 2, 3].map((value) => serving.tryDispatch(value));
      handle.open(answer);
      for (const outcome of await Promise.all(calls)) {
        expect(outcome).toMatchObject({ ok: false, error: { expected: 3 } });
        expect((outcome as { error: unknown }).error).toBeInstanceOf(ResultCountError);
      }
    },
  );

  test('handlerTimeout: callers get TimeoutError, the signal aborts, a late answer is ignored', async () => {
    const { serving, handle, clock } = bench({ handlerTimeout: 50 });
    const call = serving.tryDispatchMany([1, 2, 3]);
    await clock.advance(50);
    const outcome = await call;
    expect(outcome).toMatchObject({ ok: false, error: { message: 'the handler took longer than 50 ms' } });
    expect((outcome as { error: unknown }).error).toBeInstanceOf(TimeoutError);
    expect(handle.calls[0]?.[1].signal.aborted).toBe(true);
    handle.open([1, 2, 3]);
    handle.openAll([4, 5, 6]);
    expect(await serving.dispatchMany([4, 5, 6])).toEqual([4, 5, 6]);
  });

  test('retry executes the whole batch again, with the same reason', async () => {
    const { serving, handle, clock, sums } = bench({ retry: { attempts: 2, minDelay: 10, jitter: false } });
    const call = serving.dispatchMany([1, 2, 3]);
    handle.fail(new Error('once'));
    await clock.advance(10);
    handle.open([1, 2, 3]);
    expect(await call).toEqual([1, 2, 3]);
    expect(sums()).toBe('3 (size) + 3 (size)');
  });

  test('a retry.delay that returns Infinity is reported, and the schedule kept: no caller waits for ever', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const retry = { attempts: 2, minDelay: 10, jitter: false, delay: () => Infinity };
    const { serving, handle, clock } = bench({ retry });
    const call = serving.dispatchMany([1, 2, 3]);
    handle.fail(new Error('once'));
    await clock.advance(10);
    handle.open([1, 2, 3]);
    expect(await call).toEqual([1, 2, 3]);
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  test('init runs once per partition, and again before the next batch if it failed', async () => {
    let inits = 0;
    const serving = new BatchServing({
      init: async () => {
        if (++inits === 1) throw new Error('no model');
        return inits;
      },
      handleBatch: (values: readonly number[], { state }) => values.map(() => state),
    });
    expect(await serving.tryDispatch(1)).toMatchObject({ ok: false, error: { message: 'no model' } });
    expect([await serving.dispatch(1), await serving.dispatch(1)]).toEqual([2, 2]);
  });

  test('an abort and a timeout take values out before they start', async () => {
    const { serving, handle, clock, sums } = bench();
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = serving.tryDispatchMany([1, 2], { signal: controller.signal });
    const late = serving.tryDispatch(3, { timeout: 20 }).then((outcome) => outcome);
    await settled();
    // Full: it runs, and nothing can be taken out any more.
    expect(sums()).toBe('3 (size)');
    const waits = serving.tryDispatch(4, { signal: controller.signal });
    const stays = serving.dispatch(5);
    controller.abort(reason);
    await clock.advance(20);
    expect(await aborted).toEqual({ ok: false, error: reason });
    expect(await late).toMatchObject({ ok: false, error: { timeout: 20 } });
    expect(await waits).toEqual({ ok: false, error: reason });
    handle.open([1, 2, 3]);
    await clock.advance(100);
    expect(handle.calls[1]?.[0]).toEqual([5]);
    handle.open([50]);
    expect(await stays).toBe(50);
    expect(serving.state).toMatchObject({ pending: 0, counts: { delivered: 1, aborted: 4 } });
    expect(clock.pendingTimers).toBe(0);
  });

  test('nothing is executed, and no timer is left, when every caller has left', async () => {
    const { serving, handle, clock } = bench();
    const controller = new AbortController();
    const call = serving.tryDispatch(1, { signal: controller.signal });
    controller.abort();
    await call;
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(1000);
    expect(handle.calls).toEqual([]);
  });

  test('a call that has its results leaves no timer behind', async () => {
    const { serving, handle, clock } = bench({ batchSize: 1 });
    handle.openAll([1]);
    await serving.dispatch(1, { timeout: 1000 });
    await serving.dispatchMany([1], { timeout: 1000 });
    expect(clock.pendingTimers).toBe(0);
  });

  test('no try verb rejects, whatever is wrong', async () => {
    const serving = new BatchServing<number, number>({
      mapInputs: (values: readonly number[]) => {
        if (values[0] === 7) throw new Error('mapInputs');
        return values;
      },
      handleBatch: doubled,
    });
    expect(await serving.tryDispatch(7)).toMatchObject({ ok: false, error: { message: 'mapInputs' } });
    expect(await serving.tryDispatchMany(5 as never)).toMatchObject({ ok: false, error: { option: 'values' } });
    expect(await serving.tryDispatch(1, { timeot: 1 } as never)).toMatchObject({ ok: false });
    expect(await new BatchServing<number, number>().tryDispatch(1)).toMatchObject({
      ok: false,
      error: expect.any(MissingHookError) as unknown,
    });
  });

  test('a weigh that throws rejects its call alone', async () => {
    const serving = new BatchServing({
      maxBatchWeight: 10,
      weigh: (value: number) => (value < 0 ? NaN : value),
      handleBatch: doubled,
    });
    await expect(serving.dispatch(-1)).rejects.toBeInstanceOf(ItemError);
    expect(await serving.dispatch(1)).toBe(2);
  });

  test('wrong options are named', () => {
    const bad: [object, string][] = [
      [{ batchSize: 0 }, 'batchSize'],
      [{ batchTimeout: -1 }, 'batchTimeout'],
      [{ hooks: ['batch'] }, 'hooks'],
      [{ hooks: ['a', 'a'] }, 'hooks'],
      [{ partitions: 0 }, 'partitions'],
      [{ partitions: { count: 2 } }, 'partitions.worker'],
      [{ maxBatchWeight: 3 }, 'weigh'],
      [{ handleBach: doubled }, 'handleBach'],
      [{ retry: { attempts: 0 } }, 'retry.attempts'],
    ];
    for (const [options, option] of bad) {
      expect(() => new BatchServing(options as never)).toThrow(OptionsError);
      expect(() => new BatchServing(options as never)).toThrow(option);
    }
  });
});

describe('maps', () => {
  test('they always see lists, and apply to every verb', async () => {
    const inputs: number[] = [];
    const serving = new BatchServing({
      batchSize: 2,
      batchTimeout: 0,
      mapInputs: async (values: readonly string[]) => {
        inputs.push(values.length);
        return values.map(Number);
      },
      handleBatch: (values: readonly number[]) => doubled(values),
      mapResults: async (results: readonly number[]) => results.map((result) => `<${String(result)}>`),
    });
    expect(await serving.dispatch('1')).toBe('<2>');
    expect(await serving.dispatchMany(['1', '2', '3'])).toEqual(['<2>', '<4>', '<6>']);
    expect(await serving.inline('4')).toBe('<8>');
    expect(await serving.inlineMany(['1', '2', '3'])).toEqual(['<2>', '<4>', '<6>']);
    expect(inputs).toEqual([1, 3, 1, 3]);
    const parts: string[][] = [];
    for await (const event of serving.stream(['1', '2', '3'])) parts.push(event.output);
    for await (const event of serving.inlineStream(['1', '2', '3'])) parts.push(event.output);
    expect(parts).toEqual([['<2>', '<4>'], ['<6>'], ['<2>', '<4>'], ['<6>']]);
  });
});

describe('streams', () => {
  async function* numbers(count: number, pulled: number[] = [], closed: string[] = []): AsyncGenerator<number> {
    try {
      for (let i = 1; i <= count; i++) {
        pulled.push(i);
        yield i;
      }
    } finally {
      closed.push('closed');
    }
  }
  const collect = async (events: AsyncIterable<object>): Promise<string[]> => {
    const all: string[] = [];
    for await (const event of events) {
      const { type, output, payload } = event as { type: string; output?: unknown; payload?: unknown };
      all.push(`${type} ${JSON.stringify(output ?? payload)}`);
    }
    return all;
  };

  test('in request order, whatever finishes first, hooks before results', async () => {
    const gates = [gate(), gate()];
    let batches = 0;
    const serving = new BatchServing<number, number, undefined, 'progress'>({
      batchSize: 2,
      partitions: 2,
      hooks: ['progress'],
      keepCallsWhole: false,
      handleBatch: async (values, { hooks }) => {
        const own = batches++;
        hooks.progress.each(values.map((value) => -value));
        await gates[own]?.();
        hooks.progress.all(`half ${String(own)}`);
        return doubled(values);
      },
    });
    const events = collect(serving.stream([1, 2, 3, 4]));
    gates[1]?.open();
    await settled();
    gates[0]?.open();
    expect(await events).toEqual([
      'progress [-1,-2]',
      'progress "half 0"',
      'batch [2,4]',
      'progress [-3,-4]',
      'progress "half 1"',
      'batch [6,8]',
    ]);
  });

  test('the events of the part at the head come while its batch still runs', async () => {
    const hold = gate();
    const serving = new BatchServing<number, number, undefined, 'progress'>({
      hooks: ['progress'],
      handleBatch: async (values, { hooks }) => {
        hooks.progress.all('begun');
        await hold();
        return doubled(values);
      },
    });
    const stream = serving.stream([1]);
    expect(await stream.next()).toEqual({ done: false, value: { type: 'progress', payload: 'begun' } });
    hold.open();
    expect(await stream.next()).toEqual({ done: false, value: { type: 'batch', output: [2] } });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test.each(['list', 'pulled'])('all four combinations: input %s, output all at once and as a stream', async (kind) => {
    const serving = new BatchServing({ batchSize: 4, batchTimeout: 0, handleBatch: doubled });
    const input = (): AsyncIterable<number> | number[] => (kind === 'list' ? [1, 2, 3, 4, 5, 6] : numbers(6));
    expect(await serving.dispatchMany(input())).toEqual([2, 4, 6, 8, 10, 12]);
    const outputs: number[] = [];
    for await (const event of serving.stream(input())) outputs.push(...event.output);
    expect(outputs).toEqual([2, 4, 6, 8, 10, 12]);
    expect(await serving.inlineMany(input())).toEqual([2, 4, 6, 8, 10, 12]);
    expect(await collect(serving.inlineStream(input()))).toEqual(['batch [2,4,6,8]', 'batch [10,12]']);
  });

  test('an async iterable is pulled at most two batches per partition ahead of its results', async () => {
    const pulled: number[] = [];
    const { serving, handle, clock } = bench();
    const call = serving.dispatchMany(numbers(20, pulled));
    await clock.advance(1000);
    expect(pulled.length).toBe(6);
    handle.open([0, 0, 0]);
    await settled();
    expect(pulled.length).toBe(9);
    handle.openAll([0, 0, 0]);
    await settled();
    await serving.close({ pending: 'reject' });
    await expect(call).rejects.toBeInstanceOf(Error);
  });

  test('a stream stops pulling without a reader, and releases everything when its reader stops', async () => {
    const pulled: number[] = [];
    const closed: string[] = [];
    const serving = new BatchServing({ batchSize: 2, batchTimeout: 0, handleBatch: doubled });
    const stream = serving.stream(numbers(100, pulled, closed));
    await settled();
    await settled();
    expect(pulled.length).toBe(4);
    await stream.next();
    await settled();
    expect(pulled.length).toBe(6);
    await stream.return?.();
    await settled();
    expect(closed).toEqual(['closed']);
    expect(serving.state.pending).toBe(0);
  });

  test('what came before a failure is delivered, then it throws', async () => {
    const serving = new BatchServing({
      batchSize: 2,
      handleBatch: (values: readonly number[]) => values.map((value) => (value === 4 ? new Error('four') : value)),
    });
    const outputs: number[] = [];
    const read = async (): Promise<void> => {
      for await (const event of serving.stream([1, 2, 3, 4, 5, 6])) outputs.push(...event.output);
    };
    await expect(read()).rejects.toThrow('four');
    expect(outputs).toEqual([1, 2, 3]);
  });

  test('a hook is bound to its batch, and counts', async () => {
    let late: { all: (payload: unknown) => void } | undefined;
    let thrown: unknown;
    const serving = new BatchServing<number, number, undefined, 'progress'>({
      hooks: ['progress'],
      handleBatch: (values, { hooks }) => {
        late = hooks.progress;
        try {
          hooks.progress.each([1, 2, 3]);
        } catch (error) {
          thrown = error;
        }
        return [...values];
      },
    });
    await serving.dispatch(1);
    expect(thrown).toBeInstanceOf(ResultCountError);
    expect(() => late?.all(1)).toThrow(ClosedError);
  });

  test('a stream without a reader makes no unhandled rejection', async () => {
    const stray = await strayErrors(async () => {
      const serving = new BatchServing<number, number>({
        handleBatch: () => {
          throw new Error('unseen');
        },
      });
      serving.stream([1, 2]);
      await settled();
      await serving.close();
    });
    expect(stray).toEqual([]);
  });
});

describe('room', () => {
  test('wait: a call that would exceed maxPending waits', async () => {
    const { serving, handle, clock } = bench({ maxPending: 3 });
    const first = serving.dispatchMany([1, 2, 3]);
    const second = serving.dispatchMany([4, 5]);
    expect(serving.state.pending).toBe(3);
    handle.open([1, 2, 3]);
    await settled();
    expect(serving.state.pending).toBe(2);
    handle.openAll([4, 5]);
    await clock.advance(100);
    expect(await Promise.all([first, second])).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test.each(['reject', 'dropNewest'] as const)('%s: the incoming call is rejected', async (overflow) => {
    const { serving, handle } = bench({ maxPending: 3, overflow });
    const first = serving.dispatchMany([1, 2, 3]);
    await expect(serving.dispatch(4)).rejects.toBeInstanceOf(OverflowError);
    handle.open([1, 2, 3]);
    expect(await first).toEqual([1, 2, 3]);
  });

  test('dropOldest: the oldest that is not executing', async () => {
    const { serving, handle } = bench({ maxPending: 5, overflow: 'dropOldest' });
    const runs = serving.dispatchMany([1, 2, 3]);
    const oldest = serving.tryDispatch(4);
    const second = serving.dispatch(5);
    const newest = serving.dispatch(6);
    expect(await oldest).toMatchObject({ ok: false, error: expect.any(OverflowError) as unknown });
    handle.open([1, 2, 3]);
    void serving.close();
    await settled();
    handle.open([50, 60]);
    expect(await Promise.all([runs, second, newest])).toEqual([[1, 2, 3], 50, 60]);
  });
});

describe('close', () => {
  test('drain executes what was accepted', async () => {
    const { serving, handle, sums } = bench();
    const call = serving.dispatch(1);
    handle.openAll([10]);
    await serving.close();
    expect(await call).toBe(10);
    expect(sums()).toBe('1 (close)');
    await expect(serving.dispatch(2)).rejects.toBeInstanceOf(ClosedError);
    await expect(serving.inline(2)).rejects.toBeInstanceOf(ClosedError);
    expect(serving.close()).toBe(serving.close());
  });

  test('2=>shutdown=>1 (reject): what waits fails, what runs finishes', async () => {
    const { serving, handle } = bench({ batchSize: 2 });
    const runs = serving.dispatchMany([1, 2]);
    const waits = serving.tryDispatch(3);
    const closing = serving.close({ pending: 'reject' });
    expect(await waits).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
    handle.open([1, 2]);
    expect(await runs).toEqual([1, 2]);
    await closing;
    expect(serving.state.pending).toBe(0);
  });

  test('after the timeout it rejects, and callers get ClosedError', async () => {
    const { serving, clock } = bench();
    const call = serving.tryDispatchMany([1, 2, 3, 4]);
    const closing = serving.close({ timeout: 50 });
    closing.catch(() => undefined);
    await clock.advance(50);
    await expect(closing).rejects.toMatchObject({ undelivered: 4, batches: [[1, 2, 3], [4]] });
    await expect(closing).rejects.toBeInstanceOf(CloseError);
    expect(await call).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
    expect(serving.state.pending).toBe(0);
  });

  test('of an async iterable what was pulled is executed, then its call fails', async () => {
    const executed: number[] = [];
    const serving = new BatchServing({
      batchSize: 2,
      handleBatch: (values: readonly number[]) => {
        executed.push(...values);
        return doubled(values);
      },
    });
    let returned = false;
    let next = 0;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => (next < 3 ? Promise.resolve({ done: false, value: next++ }) : new Promise<never>(() => undefined)),
        return: () => {
          returned = true;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const call = serving.tryDispatchMany(source);
    await settled();
    await serving.close();
    expect(await call).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
    expect(executed).toEqual([0, 1, 2]);
    expect(returned).toBe(true);
  });

  test('await using, and the closed event', async () => {
    const events: unknown[] = [];
    const serving = new BatchServing({ handleBatch: doubled });
    serving.on('closed', (event) => events.push(event));
    await serving[Symbol.asyncDispose]();
    expect(events).toEqual([{ undelivered: 0 }]);
  });
});

describe('the subclass style', () => {
  class Squares extends BatchServing<number, number, { factor: number }> {
    readonly power = 2;
    override init(): { factor: number } {
      return { factor: 10 };
    }
    override handleBatch(values: readonly number[], { state }: { state: { factor: number } }): number[] {
      return values.map((value) => value ** this.power * state.factor);
    }
  }

  test('works, and an option wins over the class', async () => {
    expect(await new Squares().dispatch(3)).toBe(90);
    expect(await new Squares({ handleBatch: (values) => values.map(() => -1) }).dispatch(3)).toBe(-1);
  });
});

test('a pool makes a serving per key and closes idle ones', async () => {
  const clock = new TestClock();
  const closed: string[] = [];
  const pool = servingPool(
    (key: string) => ({ handleBatch: (values: readonly number[]) => values.map((value) => `${key}${String(value)}`) }),
    { idleTimeout: 1000, clock },
  );
  expect(await pool.get('a').dispatch(1)).toBe('a1');
  pool.get('a').on('closed', () => closed.push('a'));
  await clock.advance(600);
  expect(await pool.get('b').dispatch(1)).toBe('b1');
  await clock.advance(500);
  expect([closed, pool.size]).toEqual([['a'], 1]);
  await pool.close();
  expect(() => pool.get('c')).toThrow(ClosedError);
  expect([pool.size, clock.pendingTimers]).toEqual([0, 0]);
});
