import { getEventListeners } from 'node:events';
import type * as Package from 'batch-please';
import { BatchServer, OverflowError, RequestCollection, StoppedError, TimeoutError, type Op } from 'batch-please';
import { TestClock, random } from 'batch-please/testing';
import { testServer, turns, type TestOp } from '../support/servers.js';

afterEach(() => jest.restoreAllMocks());

/** Answers no call. */
class Stalled extends BatchServer<undefined, number, number> {
  init(): void {
    // Without a state.
  }
  handleBatch(): Promise<void> {
    return new Promise(() => undefined);
  }
}

/** Milliseconds of CPU time, which other processes do not add to. */
async function cpu(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

describe('A10: leaving is linear', () => {
  const N = 40_000;

  /** CPU time of so many calls, of which all wait at the same time. */
  async function cost(options: (i: number) => object): Promise<number> {
    const { server, clock } = await testServer({}, { maxBatchSize: 100_000 });
    return cpu(async () => {
      const calls = Array.from({ length: N }, (_, i) => server.call('later', options(i)));
      await clock.advance(1);
      for (const reply of server.kept) reply('done');
      await Promise.all(calls);
    });
  }

  // A search per call takes minutes here. Ten times leaves room for a busy machine, and for the garbage of others.
  test('40,000 calls on one signal, or each with a timeout of its own, cost little more than plain ones', async () => {
    const { signal } = new AbortController();
    const warnings: unknown[] = [];
    jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(warning));
    await cost(() => ({}));
    const plain = await cost(() => ({}));
    expect(await cost(() => ({ signal }))).toBeLessThan(10 * plain + 2000);
    expect(await cost((i) => ({ timeout: 30_000 + ((i * 7919) % N) / N }))).toBeLessThan(10 * plain + 2000);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(warnings).toEqual([]);
  });

  test('calls in flight share one listener of their signal, which leaves with the last of them', async () => {
    const { server } = await testServer();
    const controller = new AbortController();
    const calls = [1, 2, 3].map(() => server.call('later', { signal: controller.signal }));
    await turns();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    server.kept[0]?.('done');
    expect(await calls[0]).toBe('done');
    controller.abort('enough');
    await expect(Promise.all(calls.slice(1))).rejects.toBe('enough');
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(server.sys.statistics().unanswered).toBe(0);
  });

  test('20,000 callers time out at once, in portions that do not block the event loop', async () => {
    const clock = new TestClock();
    const server = await Stalled.start(undefined, { clock });
    let settled = 0;
    let most = 0;
    for (let i = 0; i < 20_000; i++) server.call(i, { timeout: 200 }).catch(() => settled++);
    await turns();
    const setTimer = clock.setTimer.bind(clock);
    // Every portion sets the timer for the next one.
    let before = 0;
    clock.setTimer = (fn, ms) => {
      most = Math.max(most, settled - before);
      before = settled;
      return setTimer(fn, ms);
    };
    await clock.advance(200);
    most = Math.max(most, settled - before);
    expect(settled).toBe(20_000);
    expect(most).toBeLessThanOrEqual(2000); // the last two portions are seen as one
    expect([server.sys.statistics().unanswered, clock.pendingTimers]).toEqual([0, 0]);
  });

  test.each(['drain', 'reject'] as const)(
    'stop with %p and 100,000 waiting callers settles all of them',
    async (pending) => {
      const clock = new TestClock();
      const server = await Stalled.start(undefined, { clock });
      const spent = await cpu(async () => {
        const calls = Array.from({ length: 100_000 }, (_, i) => server.call(i, { timeout: Infinity }));
        const all = Promise.allSettled(calls);
        await turns();
        const stopped = server.stop('x', { pending, timeout: 50 }).catch((error: unknown) => error);
        await clock.advance(50);
        expect(await stopped).toBeInstanceOf(TimeoutError);
        expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(['rejected']));
      });
      expect(spent).toBeLessThan(30_000);
      expect(server.sys.statistics()).toMatchObject({ accepted: 100_000, pending: 0, unanswered: 0 });
    },
  );

  test('callers that give up waiting for room leave nothing behind, though one before them waits on', async () => {
    const { server, clock } = await testServer({}, { maxPending: 1 });
    await server.sys.suspend();
    server.cast(1);
    const patient = server.call('patient', { timeout: Infinity });
    for (let i = 0; i < 50; i++) {
      const late = Array.from({ length: 100 }, () => server.call('late', { timeout: 1 }));
      const all = Promise.allSettled(late);
      await clock.advance(1);
      await all;
    }
    expect(server.sys.statistics().unanswered).toBe(1);
    server.sys.resume();
    expect(await patient).toBe('patient 1');
    expect(server.messages).toEqual([1, 'patient']);
  });

  test('10,000 waits on one collection, each for an answer of its own', async () => {
    const { server } = await testServer({}, { maxBatchSize: 100_000 });
    const collection = new RequestCollection<string, number>();
    for (let i = 0; i < 10_000; i++) collection.add(server.sendRequest('later'), i);
    await turns();
    const spent = await cpu(async () => {
      const waits = Array.from({ length: 10_000 }, () => collection.wait(60_000));
      for (const reply of server.kept) reply('done');
      const labels = (await Promise.all(waits)).map((answer) => ('label' in answer ? answer.label : -1));
      expect(labels).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
    });
    expect(spent).toBeLessThan(30_000);
  });

  test('timeouts of any length, answered in any order, end when they should', async () => {
    const rng = random(11);
    const { server, clock } = await testServer({}, { maxBatchSize: 10_000 });
    const ended: [timeout: number, at: number][] = [];
    for (let i = 0; i < 3000; i++) {
      const timeout = rng.int(500) + rng.pick([0, 0.25, 0.5]);
      server.call('later', { timeout }).catch(() => ended.push([timeout, clock.now()]));
    }
    await clock.advance(250);
    for (const [i, reply] of server.kept.entries()) if (i % 2 === 0) reply('done');
    await clock.advance(500);
    for (const [timeout, at] of ended) expect(at).toBe(Math.ceil(timeout));
    expect(ended.length).toBeGreaterThan(1500);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('an op', () => {
  test('survives a spread, and the copy answers for the original', async () => {
    const { server } = await testServer({
      handleBatch: (ops) => {
        for (const op of ops) {
          if (op.kind !== 'call') continue;
          const copy = { ...op, at: 1 };
          expect(Object.keys(op)).toEqual(['kind', 'request', 'reply', 'fail']);
          if (op.request === 'x') copy.reply(copy.request);
          else copy.fail('no');
          op.reply('second');
        }
      },
    });
    expect(await server.call('x')).toBe('x');
    await expect(server.call('y')).rejects.toBe('no');
    expect(server.status).toBe('running');
  });

  test('whose first reply was a promise that rejects fails its caller; a later reply does not count', async () => {
    const { server } = await testServer({
      handleBatch: (ops) => {
        for (const op of ops) {
          if (op.kind !== 'call') continue;
          op.reply(Promise.resolve().then(() => Promise.reject(new Error('first'))));
          op.reply('second');
        }
      },
    });
    await expect(server.call('x')).rejects.toThrow('first');
  });

  test('whose reply is a promise that never settles: the timeout and the end still count', async () => {
    const { server, clock } = await testServer({
      handleBatch: (ops) => {
        for (const op of ops) if (op.kind === 'call') op.reply(new Promise<string>(() => undefined));
      },
    });
    const late = expect(server.call('x', { timeout: 5 })).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(5);
    await late;
    const ended = expect(server.call('y', { timeout: Infinity })).rejects.toBeInstanceOf(StoppedError);
    await server.stop();
    await ended;
  });
});

test('requests of another copy of the package are accepted by a collection, in the order of the answers', async () => {
  const { server } = await testServer();
  let other: typeof Package | undefined;
  await jest.isolateModulesAsync(async () => {
    other = await import('batch-please');
  });
  if (other === undefined || other.BatchServer === BatchServer) throw new Error('this is no other copy');
  class Twin extends other.BatchServer<undefined, string, string> {
    init(): void {
      // Without a state.
    }
    handleBatch(ops: readonly Op<string, string, never>[]): void {
      for (const op of ops) if (op.kind === 'call') op.reply(`twin ${op.request}`);
    }
  }
  const twin = await Twin.start();
  const [a, b, c] = [server.sendRequest('a'), twin.sendRequest('b'), server.sendRequest('later')] as const;
  await turns();
  const collection = new RequestCollection<string, string>();
  collection.add(b, 'b').add(a, 'a').add(c, 'c');
  expect(await collection.wait()).toMatchObject({ reply: 'a 0' });
  expect(await collection.wait()).toMatchObject({ reply: 'twin b' });
  const pending = twin.sendRequest('d');
  expect(await collection.add(pending as never, 'd').wait()).toMatchObject({ reply: 'twin d', label: 'd' });
  expect(() => collection.add({} as never, 'x')).toThrow('what sendRequest returned');
  await twin.stop();
});

describe('surroundings that fail', () => {
  test.each(['now', 'setTimer', 'clearTimer'] as const)(
    'a clock whose %s throws: every call settles',
    async (method) => {
      const clock = new TestClock();
      const { server } = await testServer({}, { clock });
      clock[method] = () => {
        throw new Error('clock');
      };
      expect(await server.call('x')).toBe('x 0');
      const late = server.call('later', { timeout: method === 'clearTimer' ? Infinity : 20 });
      await turns();
      if (method === 'setTimer') await expect(late).rejects.toBeInstanceOf(TimeoutError);
      else {
        server.kept[0]?.('done');
        expect(await late).toBe('done');
      }
      await server.stop('x', { timeout: 1000 });
      expect(server.status).toBe('stopped');
    },
  );

  test.each(['setImmediate', 'clearImmediate', 'performance'] as const)('without a global %s', async (name) => {
    const server = await Simple.start();
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
    const { setTimeout: sleep } = globalThis;
    const replaced = name === 'performance' ? { now: () => NaN } : null;
    Object.defineProperty(globalThis, name, { value: replaced, configurable: true, writable: true });
    try {
      expect(await server.call('x')).toBe('x');
      server.cast(1);
      await server.stop();
      await new Promise((resolve) => sleep(resolve, 5));
    } finally {
      if (descriptor !== undefined) Object.defineProperty(globalThis, name, descriptor);
    }
    expect(server.status).toBe('stopped');
  });

  test('a process.emitWarning that throws harms nothing', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => {
      throw new Error('warning');
    });
    const { server } = await testServer({ terminate: () => Promise.reject(new Error('terminate')) }, { maxPending: 1 });
    server.cast(1);
    expect(server.cast(2)).toBe(false);
    await server.stop();
    expect(server.status).toBe('stopped');
  });
});

class Simple extends BatchServer<undefined, string, string, number> {
  init(): void {
    // Without a state.
  }
  handleBatch(ops: readonly Op<string, string, number>[]): void {
    for (const op of ops) if (op.kind === 'call') op.reply(op.request);
  }
}

describe('listeners that stop the server while a message is being accepted', () => {
  test('a trace listener, in the middle of a castBatch: all or nothing, and the counts add up', async () => {
    const { server } = await testServer();
    server.on('refused', () => undefined);
    const end = server.sys.trace(() => {
      end();
      void server.stop('traced', { pending: 'reject' });
    });
    expect(server.castBatch([1, 2, 3])).toBe(true);
    await server.ended;
    expect(server.sys.statistics()).toMatchObject({ accepted: 3, handled: 0, dropped: 3, pending: 0 });
  });

  test("a refused listener, while 'dropOldest' makes room: the new message is refused", async () => {
    const { server } = await testServer({}, { maxPending: 1, overflow: 'dropOldest' });
    server.on('refused', ({ error }) => error instanceof OverflowError && void server.stop('full'));
    expect(server.cast(1)).toBe(true);
    expect(server.cast(2)).toBe(false);
    await server.ended;
    expect(server.sys.statistics()).toMatchObject({ accepted: 1, dropped: 1, refused: 1, pending: 0 });
  });

  test('a replaceState that stops: the messages are handled after it, on the new state', async () => {
    const { server } = await testServer();
    server.cast(1);
    const replaced = server.sys.replaceState(() => {
      void server.stop('replaced');
      return 10;
    });
    expect(await replaced).toBe(10);
    await server.ended;
    expect(server.terminated).toMatchObject({ reason: 'replaced', state: 11 });
  });
});

describe('stop, further', () => {
  test('a stop after a hook has failed gives a terminate that hangs no more time than its timeout', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { server, clock } = await testServer({
      handleBatch: () => Promise.reject(new Error('boom')),
      terminate: () => new Promise(() => undefined),
    });
    server.cast(1);
    await turns();
    const stopping = expect(server.stop('x', { timeout: 50 })).rejects.toThrow(TimeoutError);
    await clock.advance(1000);
    await stopping;
    expect(server.status).toBe('stopped');
  });

  test('a suspension that is asked for while it drains does not hold up the end', async () => {
    const resolvers: (() => void)[] = [];
    const { server } = await testServer({
      handleBatch: (_ops: readonly TestOp[]) => new Promise<void>((resolve) => resolvers.push(resolve)),
    });
    server.cast(1);
    await turns();
    server.cast(2);
    const stopping = server.stop();
    const suspended = server.sys.suspend();
    resolvers[0]?.();
    await suspended;
    await turns();
    resolvers[1]?.();
    await stopping;
    expect(server.sizes).toEqual([1, 1]);
  });

  test('a timeout of 60 days does not end a call after 25', async () => {
    const { server, clock } = await testServer();
    const days = 24 * 3600 * 1000;
    let ended = false;
    const call = server.call('later', { timeout: 60 * days }).catch(() => (ended = true));
    await clock.advance(59 * days);
    expect(ended).toBe(false);
    await clock.advance(days);
    expect(await call).toBe(true);
  });
});
