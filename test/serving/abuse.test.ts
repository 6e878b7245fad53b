import { BatchServing, CloseError, ClosedError, ItemError, ResultCountError, TimeoutError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled, strayErrors } from '../support/collectors.js';

// Whatever a user's code does: every promise settles (A2), nothing is unhandled (A4), and the counters add up (A1).

type Any = BatchServing<unknown, unknown>;
type Settled = PromiseSettledResult<unknown>;

/** A serving, all of whose answers are kept. It is closed in the end; `work` may have closed it itself. */
async function abused(
  options: object,
  work: (serving: Any, keep: (...promises: Promise<unknown>[]) => void) => unknown,
): Promise<Settled[]> {
  const kept: Promise<Settled[]>[] = [];
  const serving = new BatchServing<unknown, unknown>({ batchTimeout: 0, ...options });
  const stray = await strayErrors(async () => {
    await work(serving, (...promises) => kept.push(Promise.allSettled(promises)));
    await Promise.allSettled([serving.close()]);
  });
  expect(stray).toEqual([]);
  const outcomes = (await Promise.all(kept)).flat();
  const { counts, pending, running } = serving.state;
  expect({ pending, running }).toEqual({ pending: 0, running: 0 });
  expect(counts.delivered + counts.failed + counts.aborted).toBe(counts.values);
  return outcomes;
}

const told = (outcomes: Settled[]): unknown[] =>
  outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)));

const same = (values: readonly unknown[]): unknown[] => [...values];

const boom = (): never => {
  throw new Error('boom');
};

/** A list that cannot be read at one place. */
function trapped(list: unknown[], at: number): unknown[] {
  return Object.defineProperty([...list], at, { get: boom, enumerable: true });
}

/** An object that throws whatever is read from it. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('answers of handlers', () => {
  const three = async (answer: () => unknown): Promise<unknown[]> =>
    told(
      await abused({ batchSize: 3, handleBatch: answer }, (serving, keep) => {
        keep(serving.dispatch(1), serving.dispatchMany([2, 3]));
      }),
    );

  test.each([
    ['a map', () => new Map()],
    ['a string', () => 'abc'],
    ['a typed array', () => new Uint8Array(3)],
    ['a set', () => new Set([1, 2, 3])],
    ['an array-like', () => ({ length: 3, 0: 1, 1: 2, 2: 3 })],
    ['a function', () => () => [1, 2, 3]],
    ['a revoked proxy', () => revoked()],
    ['a promise of nothing', async () => undefined],
  ])('no list, but %s: the batch fails', async (_name, answer) => {
    for (const outcome of await three(answer)) expect(outcome).toMatch(/Error/);
  });

  test('a sparse list has nothing where nothing is', async () => {
    expect(await three(() => [1, , 3])).toEqual([1, [undefined, 3]]);
  });

  test.each([0, 1, 2])('a list that cannot be read at %d fails that call only', async (at) => {
    const expected = at === 0 ? ['Error: boom', [2, 3]] : [1, 'Error: boom'];
    expect(await three(() => trapped([1, 2, 3], at))).toEqual(expected);
  });

  test('a result whose properties throw is a result', async () => {
    const outcomes = await abused({ handleBatch: () => [revoked()] }, (serving, keep) => {
      keep(serving.dispatchMany([1]), serving.dispatchMany([2]));
    });
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });

  test('a thenable instead of a promise; one that throws; one that answers twice', async () => {
    expect(
      await three(() => ({
        then: (next: (list: unknown[]) => void) => {
          next([1, 2, 3]);
        },
      })),
    ).toEqual([1, [2, 3]]);
    expect(await three(() => ({ then: boom }))).toEqual(['Error: boom', 'Error: boom']);
    expect(await three(() => Object.defineProperty({}, 'then', { get: boom }))).toEqual(['Error: boom', 'Error: boom']);
    const twice = (next: (list: unknown[]) => void, fail: (error: unknown) => void): void => {
      next([1, 2, 3]);
      next([4, 5, 6]);
      fail(new Error('late'));
    };
    expect(await three(() => ({ then: twice }))).toEqual([1, [2, 3]]);
  });

  test('a thenable in a slot, as it is or broken', async () => {
    expect(await three(() => [Promise.resolve(1), 2, 3])).toEqual([1, [2, 3]]);
    expect(await three(() => [{ then: boom }, 2, 3])).toEqual(['Error: boom', [2, 3]]);
    const odd = (): unknown => Object.defineProperty(Promise.resolve(1), 'constructor', { get: boom });
    expect(await three(() => [odd(), 2, 3])).toEqual(['Error: boom', [2, 3]]);
  });

  test('throws of every kind reach every caller as they are', async () => {
    for (const thrown of [undefined, null, 0, 'text', Symbol.for('x'), Object.create(null) as object, revoked()]) {
      const outcomes = await abused(
        {
          batchSize: 2,
          handleBatch: () => {
            throw thrown;
          },
        },
        (serving, keep) => {
          keep(serving.dispatch(1), serving.dispatch(2));
        },
      );
      for (const outcome of outcomes) expect((outcome as PromiseRejectedResult).reason === thrown).toBe(true);
    }
  });

  test('results that are changed later change nothing that was delivered', async () => {
    const shared: unknown[] = [];
    const [outcome] = await abused(
      {
        batchSize: 3,
        handleBatch: (values: unknown[]) => {
          shared.push(...values);
          return shared;
        },
      },
      (serving, keep) => {
        keep(serving.dispatchMany([1, 2, 3]));
      },
    );
    shared.length = 0;
    expect(outcome).toEqual({ status: 'fulfilled', value: [1, 2, 3] });
  });

  test('a handler that changes its list changes neither the next attempt nor what close reports', async () => {
    const seen: unknown[][] = [];
    await abused(
      {
        batchSize: 2,
        retry: { attempts: 2, minDelay: 0 },
        handleBatch: (values: unknown[]) => {
          seen.push([...values]);
          values.length = 0;
          if (seen.length === 1) throw new Error('once');
          return [1, 2];
        },
      },
      async (serving, keep) => {
        keep(serving.dispatchMany(['a', 'b']));
        await serving.close();
      },
    );
    expect(seen).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });
});

describe('maps', () => {
  test.each([
    ['mapInputs', boom, 'Error: boom'],
    ['mapInputs', async () => boom(), 'Error: boom'],
    ['mapInputs', () => 5, 'TypeError'],
    ['mapInputs', () => ({ then: boom }), 'Error: boom'],
    ['mapResults', boom, 'Error: boom'],
    ['mapResults', async () => boom(), 'Error: boom'],
    ['mapResults', () => null, 'TypeError'],
    ['mapResults', () => [1, 2, 3], 'ResultCountError'],
    ['mapResults', async () => [], 'ResultCountError'],
  ])('%s %s: the call fails with %s', async (name, map, error) => {
    const outcomes = await abused({ handleBatch: same, [name]: map }, (serving, keep) => {
      keep(serving.dispatch(1), serving.inline(1));
    });
    for (const outcome of told(outcomes)) expect(outcome).toContain(error);
  });

  test('mapInputs that makes none of them, or more: the call has as many results', async () => {
    const outcomes = await abused(
      { batchSize: 2, handleBatch: same, mapInputs: ([n]: number[]) => Array.from({ length: n ?? 0 }, (_, i) => i) },
      (serving, keep) => {
        keep(serving.dispatchMany([0]), serving.dispatchMany([5]), serving.dispatch(0), serving.dispatch(2));
      },
    );
    expect(told(outcomes).slice(0, 2)).toEqual([[], [0, 1, 2, 3, 4]]);
    for (const outcome of told(outcomes).slice(2)) expect(outcome).toContain('ResultCountError');
  });

  test('a stream whose mapResults throws ends with that', async () => {
    const outcomes = await abused({ handleBatch: same, mapResults: boom }, (serving, keep) => {
      keep(serving.stream([1, 2]).next(), serving.inlineStream([1, 2]).next());
    });
    expect(told(outcomes)).toEqual(['Error: boom', 'Error: boom']);
  });
});

describe('iterables', () => {
  const source = (parts: object): AsyncIterable<unknown> => ({ [Symbol.asyncIterator]: () => parts as never });
  const once = (): object => {
    let asked = 0;
    return { next: async () => (asked++ === 0 ? { done: false, value: 1 } : boom()) };
  };

  test.each([
    ['next that throws', () => source({ next: boom })],
    ['next that rejects', () => source({ next: async () => boom() })],
    ['next that rejects later', () => source(once())],
    ['next that answers with nothing', () => source({ next: () => undefined })],
    ['no next', () => source({})],
    ['an iterator that throws', () => ({ [Symbol.asyncIterator]: boom })],
    ['a list that throws', () => ({ [Symbol.iterator]: boom })],
    ['a list that cannot be read', () => trapped([1, 2], 1)],
    ['a done that throws', () => source({ next: () => Object.defineProperty({}, 'done', { get: boom }) })],
  ])('%s: the call fails', async (_name, make) => {
    const outcomes = await abused({ batchSize: 2, handleBatch: same }, (serving, keep) => {
      keep(serving.dispatchMany(make() as never), serving.inlineMany(make() as never));
      const read = async (events: AsyncIterable<unknown>): Promise<unknown> => {
        for await (const event of events) expect(event).toBeDefined();
        return 'ended';
      };
      keep(read(serving.stream(make() as never)), read(serving.inlineStream(make() as never)));
    });
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
  });

  test.each([
    ['throws', boom],
    ['rejects', async () => boom()],
    ['never answers', () => new Promise(() => undefined)],
  ])('return that %s delays no other caller', async (_name, end) => {
    let next = 0;
    const endless = (): AsyncIterable<unknown> =>
      source({
        next: async () => {
          await settled();
          return { done: false, value: next++ };
        },
        return: end,
      });
    const controller = new AbortController();
    const outcomes = await abused({ batchSize: 2, handleBatch: same }, async (serving, keep) => {
      keep(serving.dispatchMany(endless(), { signal: controller.signal }));
      const stream = serving.stream(endless());
      keep(stream.next());
      await settled();
      controller.abort(new Error('enough'));
      await stream.return?.();
      keep(serving.dispatchMany(endless()));
    });
    expect(told(outcomes)[0]).toBe('Error: enough');
    expect(String(told(outcomes)[2])).toContain('ClosedError');
    const before = next;
    await settled();
    expect(next).toBe(before);
  });

  test('a source that never answers: an abort, a timeout and close end its call', async () => {
    const silent = source({ next: () => new Promise(() => undefined) });
    const clock = new TestClock();
    const outcomes = await abused({ clock, handleBatch: same }, async (serving, keep) => {
      keep(serving.dispatchMany(silent, { timeout: 10 }), serving.dispatchMany(silent));
      await clock.advance(10);
    });
    const [late, closed] = outcomes as PromiseRejectedResult[];
    expect(late?.reason).toBeInstanceOf(TimeoutError);
    expect(closed?.reason).toBeInstanceOf(ClosedError);
  });
});

describe('giving up', () => {
  test('before, during and after', async () => {
    const handle = gate<[readonly unknown[]], unknown>();
    const before = AbortSignal.abort(new Error('before'));
    const [during, after] = [new AbortController(), new AbortController()];
    const outcomes = await abused({ batchSize: 2, handleBatch: handle }, async (serving, keep) => {
      keep(serving.dispatch(1, { signal: before }), serving.dispatchMany([1, 2], { signal: before }));
      keep(serving.stream([1], { signal: before }).next());
      keep(serving.dispatch(1, { signal: during.signal }), serving.dispatch(2, { signal: after.signal }));
      await settled();
      during.abort(new Error('during'));
      handle.open([10, 20]);
      await settled();
      after.abort(new Error('after'));
      expect(serving.state.counts).toMatchObject({ values: 2, delivered: 1, aborted: 1 });
    });
    expect(told(outcomes)).toEqual(['Error: before', 'Error: before', 'Error: before', 'Error: during', 20]);
  });

  test('2+2: an abort from within the handler, of its own caller and of one that waits', async () => {
    const controller = new AbortController();
    const outcomes = await abused(
      {
        batchSize: 2,
        handleBatch: async (values: unknown[]) => {
          controller.abort(new Error('from within'));
          return values;
        },
      },
      (serving, keep) => {
        const { signal } = controller;
        keep(
          serving.dispatch(1, { signal }),
          serving.dispatch(2),
          serving.dispatch(3, { signal }),
          serving.dispatch(4),
        );
      },
    );
    expect(told(outcomes)).toEqual(['Error: from within', 2, 'Error: from within', 4]);
  });

  test('a thousand calls on one signal make one listener', async () => {
    const controller = new AbortController();
    const add = jest.spyOn(controller.signal, 'addEventListener');
    await abused({ batchSize: 10_000, handleBatch: same }, (serving, keep) => {
      for (let i = 0; i < 1000; i++) keep(serving.dispatch(i, { signal: controller.signal }));
      expect(add).toHaveBeenCalledTimes(1);
      controller.abort(new Error('all'));
      expect(serving.state).toMatchObject({ pending: 0, counts: { aborted: 1000 } });
    });
  });
});

describe('init', () => {
  test('one that fails, then works; the waiting calls get its error', async () => {
    let inits = 0;
    const init = (): number => (++inits === 1 ? boom() : inits);
    const outcomes = await abused({ init, handleBatch: same }, (serving, keep) => {
      keep(serving.dispatch(1), serving.dispatch(2));
    });
    expect(told(outcomes)).toEqual(['Error: boom', 2]);
  });

  test('close during an init that never answers gives up in time', async () => {
    const clock = new TestClock();
    let handled = 0;
    const options = { clock, init: () => new Promise(() => undefined), handleBatch: () => [++handled] };
    const outcomes = await abused(options, async (serving, keep) => {
      keep(serving.dispatch(1));
      const closing = serving.close({ timeout: 50 });
      keep(closing);
      await clock.advance(50);
      await Promise.allSettled([closing]);
    });
    const [call, closing] = outcomes as PromiseRejectedResult[];
    expect(call?.reason).toBeInstanceOf(ClosedError);
    expect(closing?.reason).toBeInstanceOf(CloseError);
    expect(handled).toBe(0);
  });

  test('an init that answers after its batch has timed out starts no handler for that batch', async () => {
    const clock = new TestClock();
    const init = gate<[], unknown>();
    const seen: unknown[] = [];
    const handleBatch = (values: unknown[]): unknown[] => {
      seen.push(...values);
      return values;
    };
    const outcomes = await abused({ clock, init, handleBatch, handlerTimeout: 10 }, async (serving, keep) => {
      keep(serving.dispatch('late'));
      await clock.advance(10);
      init.openAll('state');
      await settled();
      keep(serving.dispatch('good'));
      await settled();
    });
    expect(told(outcomes)[1]).toBe('good');
    expect(seen).toEqual(['good']);
  });
});

describe('much at once', () => {
  test('300,000 values in one call, in batches of 1000', async () => {
    const values = Array.from({ length: 300_000 }, (_, i) => i);
    const [outcome] = await abused({ batchSize: 1000, handleBatch: same }, (serving, keep) => {
      keep(serving.dispatchMany(values));
    });
    expect((outcome as PromiseFulfilledResult<unknown[]>).value).toEqual(values);
  });

  test('100,000 values one by one, and one batch of them', async () => {
    const outcomes = await abused({ batchSize: 100_000, handleBatch: same }, (serving, keep) => {
      keep(...Array.from({ length: 100_000 }, (_, i) => serving.dispatch(i)));
    });
    expect(told(outcomes).every((value, i) => value === i)).toBe(true);
  });

  test('calls of calls: a synchronous handler that dispatches on and on does not nest', async () => {
    let count = 0;
    const outcomes = await abused(
      {
        handleBatch: (values: unknown[]) => {
          if (count < 20_000) {
            count++;
            void self?.dispatch(count);
          }
          return values;
        },
      },
      async (serving, keep) => {
        self = serving;
        keep(serving.dispatch(0));
        await settled();
      },
    );
    expect([told(outcomes), count]).toEqual([[0], 20_000]);
  });
  let self: Any | undefined;
});

describe('hooks', () => {
  test('used after the batch, in the wrong shape, or for a caller that reads no stream', async () => {
    const errors: unknown[] = [];
    const attempt = (use: () => void): void => {
      try {
        use();
      } catch (error) {
        errors.push(error);
      }
    };
    interface Hooks {
      hooks: { note: { each: (list: unknown) => void; all: (payload: unknown) => void } };
    }
    let kept: Hooks['hooks']['note'] | undefined;
    const handleBatch = (values: unknown[], { hooks: { note } }: Hooks): unknown[] => {
      kept = note;
      for (const list of [undefined, null, 5, 'ab', [1], new Set([1, 2])])
        attempt(() => {
          note.each(list);
        });
      note.each(['x', 'y']);
      return values;
    };
    await abused({ batchSize: 2, hooks: ['note'], handleBatch }, (serving, keep) => {
      keep(serving.dispatch(1), serving.dispatch(2));
    });
    attempt(() => kept?.each([1, 2]));
    attempt(() => kept?.all(1));
    expect(errors.map((error) => (error as Error).constructor)).toEqual([
      ...Array.from({ length: 6 }, () => ResultCountError),
      ClosedError,
      ClosedError,
    ]);
  });
});

describe('weights', () => {
  test.each([
    ['throws', boom],
    ['NaN', () => NaN],
    ['negative', () => -1],
    ['a promise', async () => boom()],
  ])('a weigh that %s rejects its call alone, in the caller too', async (_name, weigh) => {
    const odd = (value: unknown): unknown => (value === 'odd' ? weigh() : 1);
    const outcomes = await abused({ maxBatchWeight: 2, weigh: odd, handleBatch: same }, (serving, keep) => {
      keep(serving.dispatch('odd'), serving.dispatchMany(['good', 'odd']), serving.dispatch('good'));
      keep(serving.inline('odd'), serving.inlineMany(['good', 'odd']), serving.inline('good'));
    });
    const good = outcomes.map((outcome) => outcome.status === 'fulfilled');
    expect(good).toEqual([false, false, true, false, false, true]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ItemError);
  });
});

describe('the end', () => {
  test('close twice, in any way, is close once', async () => {
    await abused({ handleBatch: same }, async (serving, keep) => {
      const first = serving.close();
      expect(serving.close({ pending: 'reject', timeout: 0 })).toBe(first);
      keep(first, serving[Symbol.asyncDispose]());
      await first;
    });
  });

  test('every verb after close is a ClosedError, and counts nothing', async () => {
    const outcomes = await abused({ handleBatch: same }, async (serving, keep) => {
      await serving.close();
      keep(serving.dispatch(1), serving.dispatchMany([1]), serving.dispatchMany([]));
      keep(serving.stream([1]).next(), serving.inline(1), serving.inlineMany([1]), serving.inlineStream([1]).next());
      expect(serving.state.counts.values).toBe(0);
    });
    for (const outcome of outcomes) expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(ClosedError);
  });

  test('close from within the handler, while others wait', async () => {
    for (const pending of ['drain', 'reject'] as const) {
      const closings: Promise<void>[] = [];
      const outcomes = await abused(
        {
          batchSize: 2,
          handleBatch: async (values: unknown[]) => {
            await Promise.resolve();
            if (closings.length === 0) closings.push(self.close({ pending }));
            return values;
          },
        },
        (serving, keep) => {
          self = serving;
          keep(serving.dispatchMany([1, 2]), serving.dispatchMany([3, 4]), serving.dispatch(5));
        },
      );
      const waited: unknown[] =
        pending === 'drain' ? [[3, 4], 5] : [expect.stringContaining('ClosedError'), expect.anything()];
      expect(told(outcomes)).toEqual([[1, 2], ...waited]);
    }
  });
  let self!: Any; // set before the handler runs

  test('listeners that throw harm nothing', async () => {
    const outcomes = await abused({ handleBatch: same }, (serving, keep) => {
      for (const event of ['executed', 'failed', 'closed'] as const) serving.on(event, boom);
      keep(serving.dispatch(1));
    });
    expect(told(outcomes)).toEqual([1]);
  });

  test('wrong options of calls and of close reject, and change nothing', async () => {
    const outcomes = await abused({ handleBatch: same }, (serving, keep) => {
      keep(serving.dispatch(1, { timeout: -1 }), serving.dispatch(1, { signal: 5 } as never));
      keep(serving.close({ timeout: NaN }), serving.close({ pending: 'maybe' } as never));
      keep(serving.dispatch(1));
    });
    expect(outcomes.map(({ status }) => status)).toEqual([...Array<string>(4).fill('rejected'), 'fulfilled']);
  });
});
