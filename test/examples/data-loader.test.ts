import Original from 'dataloader';
import { DataLoader } from '../../examples/data-loader/data-loader.js';
import { strayErrors } from '../support/collectors.js';
import { type LoaderClass, life } from '../support/loader-lives.js';

// The adapter and the package have to do the same.
const loaders = [
  ['the adapter', DataLoader],
  ['dataloader', Original as unknown as typeof DataLoader],
] as const;

function recorded<Key>(
  Loader: typeof DataLoader,
  options?: ConstructorParameters<typeof DataLoader<Key, Key>>[1],
): { loader: DataLoader<Key, Key>; calls: (readonly Key[])[] } {
  const calls: (readonly Key[])[] = [];
  const load = (keys: readonly Key[]): Promise<Key[]> => {
    calls.push([...keys]);
    return Promise.resolve([...keys]);
  };
  return { loader: new Loader<Key, Key>(load, options), calls };
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(loaders)('%s', (_name, Loader) => {
  test('loads of one frame share a batch, also over promise callbacks', async () => {
    const { loader, calls } = recorded<number>(Loader);
    const first = loader.load(1);
    await Promise.resolve();
    const second = Promise.resolve().then(() => loader.load(2));
    expect([await first, await second]).toEqual([1, 2]);
    expect(calls).toEqual([[1, 2]]);
  });

  test('each key is loaded once; clear, clearAll and prime change the cache', async () => {
    const { loader, calls } = recorded<string>(Loader);
    await loader.loadMany(['A', 'B']);
    await loader.clear('A').loadMany(['A', 'B']);
    await loader.clearAll().loadMany(['A', 'B']);
    await loader.prime('C', 'primed').prime('A', 'ignored').load('C');
    expect(await loader.load('A')).toBe('A');
    expect(calls).toEqual([['A', 'B'], ['A'], ['A', 'B']]);
  });

  test('batch: false and maxBatchSize limit the keys of a batch', async () => {
    const single = recorded<number>(Loader, { batch: false });
    await single.loader.loadMany([1, 2]);
    expect(single.calls).toEqual([[1], [2]]);
    const limited = recorded<number>(Loader, { maxBatchSize: 2 });
    await limited.loader.loadMany([1, 2, 3]);
    expect(limited.calls).toEqual([[1, 2], [3]]);
  });

  test('cache: false and cacheMap: null load every key each time', async () => {
    for (const options of [{ cache: false }, { cacheMap: null }]) {
      const { loader, calls } = recorded<number>(Loader, options);
      await loader.loadMany([1, 1]);
      await loader.load(1);
      expect(calls).toEqual([[1, 1], [1]]);
    }
  });

  test('cacheKeyFn: keys that are equal by it are one key', async () => {
    const calls: unknown[] = [];
    const load = (keys: readonly { id: number }[]): Promise<number[]> => {
      calls.push(keys.map(({ id }) => id));
      return Promise.resolve(keys.map(({ id }) => id));
    };
    const loader = new Loader<{ id: number }, number, number>(load, { cacheKeyFn: ({ id }) => id });
    expect(await loader.loadMany([{ id: 1 }, { id: 1 }])).toEqual([1, 1]);
    expect(await loader.prime({ id: 2 }, 20).load({ id: 2 })).toBe(20);
    expect(await loader.clear({ id: 1 }).load({ id: 1 })).toBe(1);
    expect(calls).toEqual([[1], [1]]);
  });

  test('cacheMap: a cache of the caller', async () => {
    const cacheMap = new Map<number, Promise<number>>();
    const { loader } = recorded<number>(Loader, { cacheMap });
    await loader.loadMany([1, 2]);
    expect([...cacheMap.keys()]).toEqual([1, 2]);
    loader.clearAll();
    expect(cacheMap.size).toBe(0);
  });

  test('batchScheduleFn decides when a batch is loaded', async () => {
    let dispatch: () => void = () => undefined;
    const batchScheduleFn = (callback: () => void): void => {
      dispatch = callback;
    };
    const { loader, calls } = recorded<number>(Loader, { batchScheduleFn });
    const loaded = loader.loadMany([1, 2]);
    await later(5);
    expect(calls).toEqual([]);
    dispatch();
    expect([await loaded, calls]).toEqual([[1, 2], [[1, 2]]]);
  });

  test('a full batch waits for its schedule, too', async () => {
    const dispatches: (() => void)[] = [];
    const batchScheduleFn = (dispatch: () => void): void => void dispatches.push(dispatch);
    const { loader, calls } = recorded<number>(Loader, { maxBatchSize: 2, batchScheduleFn });
    const loaded = loader.loadMany([1, 2, 3]);
    await later(5);
    expect([dispatches.length, calls]).toEqual([2, []]);
    dispatches[1]?.();
    dispatches[0]?.();
    expect([await loaded, calls]).toEqual([
      [1, 2, 3],
      [[3], [1, 2]],
    ]);
  });

  test('a promise among the values delays its own load only', async () => {
    let answer: (value: string) => void = () => undefined;
    const slow = new Promise<string>((resolve) => (answer = resolve));
    const loader = new Loader<number, unknown>(() => Promise.resolve([slow, 'quick']));
    const [first, second] = [loader.load(1), loader.load(2)];
    expect(await second).toBe('quick');
    answer('slow');
    expect(await first).toBe('slow');
  });

  test('name is null unless it is given', () => {
    expect(recorded(Loader).loader.name).toBeNull();
    expect(recorded(Loader, { name: 'users' }).loader.name).toBe('users');
  });

  test('an error of one key is cached; loadMany resolves to it', async () => {
    let calls = 0;
    const loader = new Loader<number, number>((keys) => {
      calls++;
      return Promise.resolve(keys.map((key) => (key < 0 ? new Error('negative') : key)));
    });
    expect(await loader.loadMany([1, -1])).toEqual([1, new Error('negative')]);
    await expect(loader.load(-1)).rejects.toThrow('negative');
    expect(calls).toBe(1);
  });

  test('an outage was cached for ever: keys of a batch that failed as a whole are forgotten', async () => {
    let down = true;
    const loader = new Loader<number, number>((keys) =>
      down ? Promise.reject(new Error('database is restarting')) : Promise.resolve([...keys]),
    );
    await expect(loader.load(1)).rejects.toThrow('database is restarting');
    down = false;
    expect(await loader.load(1)).toBe(1);
  });

  test('a primed error rejects its loads, and is never unhandled', async () => {
    const stray = await strayErrors(async () => {
      const { loader, calls } = recorded<number>(Loader);
      loader.prime(1, new Error('primed'));
      await later(5);
      await expect(loader.load(1)).rejects.toThrow('primed');
      expect(calls).toEqual([]);
    });
    expect(stray).toEqual([]);
  });

  test('a nested load deadlocked: a batch may load through its own loader', async () => {
    const parents: Record<string, string> = { c: 'b', b: 'a' };
    const paths: DataLoader<string, string> = new Loader<string, string>((ids) =>
      Promise.all(ids.map(async (id) => (parents[id] ? `${await paths.load(parents[id])}/` : '') + id)),
    );
    expect(await paths.load('c')).toBe('a/b/c');
  });

  test('a slow batch held up all others: batches run side by side', async () => {
    let release: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    const loader = new Loader<string, string>(async (ids) => {
      if (ids[0] === 'slow') await slow;
      return [...ids];
    });
    const first = loader.load('slow');
    await later(1);
    expect(await loader.load('quick')).toBe('quick');
    release();
    expect(await first).toBe('slow');
  });

  test('a cached load waits for the open batch', async () => {
    const order: string[] = [];
    const { loader } = recorded<string>(Loader);
    await loader.load('A');
    const loads = [loader.load('B'), loader.load('A')].map((load) => load.then((value) => order.push(value)));
    await Promise.resolve();
    await Promise.resolve();
    expect(order).toEqual([]);
    await Promise.all(loads);
    expect(order.sort()).toEqual(['A', 'B']);
  });

  test('the loader is `this` of its functions', async () => {
    const selves: unknown[] = [];
    const loader = new Loader<number, number>(
      function (this: unknown, keys) {
        selves.push(this);
        return Promise.resolve([...keys]);
      },
      {
        cacheKeyFn(this: unknown, key) {
          selves.push(this);
          return key;
        },
        batchScheduleFn(this: unknown, dispatch) {
          selves.push(this);
          setImmediate(dispatch);
        },
      },
    );
    await loader.load(1);
    expect(selves).toEqual([loader, loader, loader]);
  });

  test.each<[string, (loader: DataLoader<number, number>) => unknown]>([
    ['load()', (loader) => loader.load(undefined as never)],
    ['load(null)', (loader) => loader.load(null as never)],
    ['loadMany()', (loader) => loader.loadMany(undefined as never)],
    ['loadMany(1, 2)', (loader) => loader.loadMany(1 as never)],
    ['no function', () => new Loader(undefined as never)],
    ['an object', () => new Loader({} as never)],
    ['maxBatchSize 0', () => recorded(Loader, { maxBatchSize: 0 })],
    ['maxBatchSize null', () => recorded(Loader, { maxBatchSize: null as never })],
    ['batchScheduleFn', () => recorded(Loader, { batchScheduleFn: 1 as never })],
    ['cacheKeyFn', () => recorded(Loader, { cacheKeyFn: 'id' as never })],
    ['cacheMap', () => recorded(Loader, { cacheMap: { get: () => undefined } as never })],
  ])('%s throws', (name, work) => {
    const message = (): string => {
      try {
        work(recorded<number>(Loader).loader);
        return 'nothing';
      } catch (error) {
        return String(error);
      }
    };
    messages[name] ??= message();
    expect(message()).toBe(messages[name]);
    expect(message()).toMatch(/^TypeError: /);
  });

  test.each<[string, (keys: readonly number[]) => unknown]>([
    [
      'a throw',
      () => {
        throw new Error('boom');
      },
    ],
    ['a list instead of a promise', (keys) => keys],
    ['nothing', () => undefined],
    ['a promise of no list', () => Promise.resolve(null)],
    ['a promise of a short list', () => Promise.resolve([])],
  ])('%s from the function rejects the loads', async (name, answer) => {
    const load = new Loader<number, number>(answer as never).load(1);
    const message = await load.then(String, String);
    messages[name] ??= message;
    expect(message).toBe(messages[name]);
    expect(message).toMatch(/^TypeError: DataLoader must be constructed/);
  });
});

// 243 of 300 lives differed: full batches were not put off, and batches of one turn settled in another order.
const FIRST = 20_001;
test.each(Array.from({ length: 10 }, (_, i) => FIRST + 20 * i))(
  'random lives from seed %i: batches, keys, outcomes and their order are those of dataloader',
  async (from) => {
    for (let seed = from; seed < from + 20; seed++) {
      const expected = await life(Original, seed);
      expect({ seed, life: await life(DataLoader as LoaderClass, seed) }).toEqual({ seed, life: expected });
    }
  },
);

// dataloader itself ends the process, and leaves the other loads pending.
test('a cacheMap whose delete throws while a batch fails: every load rejects', async () => {
  const cacheMap = Object.assign(new Map<number, Promise<number>>(), {
    delete: () => {
      throw new Error('delete failed');
    },
  });
  for (const load of [() => Promise.reject(new Error('down')), () => undefined as never]) {
    const loader = new DataLoader<number, number>(load, { cacheMap });
    const stray = await strayErrors(async () => {
      const settled = await Promise.allSettled([loader.load(1), loader.load(2)]);
      expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      await later(5);
    });
    expect(stray).toEqual([]);
    cacheMap.clear();
  }
});

// With dataloader later loads of the same frame wait for ever.
test('a schedule that throws fails its own load only', async () => {
  let broken = true;
  const batchScheduleFn = (dispatch: () => void): void => {
    if (broken) throw new Error('no schedule');
    setImmediate(dispatch);
  };
  const loader = new DataLoader((keys: readonly number[]) => Promise.resolve(keys), { batchScheduleFn });
  expect(() => loader.load(1)).toThrow('no schedule');
  broken = false;
  expect(await loader.load(1)).toBe(1);
});

test('the callback of a schedule may be called twice: the batch is loaded once', async () => {
  const batchScheduleFn = (dispatch: () => void): void => {
    setImmediate(dispatch);
    setImmediate(dispatch);
  };
  const { loader, calls } = recorded<number>(DataLoader, { batchScheduleFn });
  await loader.load(1);
  await later(5);
  expect(calls).toEqual([[1]]);
});

/** By case, from the loader that came first. */
const messages: Record<string, string> = {};
