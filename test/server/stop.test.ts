import { OverflowError, StoppedError, TimeoutError } from 'batch-please';
import { gate, TestClock } from 'batch-please/testing';
import { TestServer, testServer, turns, type TestOp } from '../support/servers.js';

afterEach(() => jest.restoreAllMocks());

const boom = new Error('boom');
const explode = (): never => {
  throw boom;
};

function warnings(): string[] {
  const told: string[] = [];
  jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void told.push(String(warning)));
  return told;
}

describe('stop', () => {
  test('drains by default, then runs terminate with the last state, then rejects the calls that still wait', async () => {
    const { server } = await testServer({}, { maxBatchSize: 2 });
    const stopped: unknown[] = [];
    server.on('stopped', (event) => stopped.push(event));
    server.castBatch([1, 2]);
    server.cast(3);
    const answered = server.call('x');
    const unanswered = server.call('later');
    await server.stop('bye');
    expect(await answered).toBe('x 6');
    await expect(unanswered).rejects.toMatchObject({ code: 'ERR_BATCH_STOPPED', reason: 'bye' });
    expect(server.terminated).toEqual({ reason: 'bye', state: 6, summary: undefined });
    expect(server.status).toBe('stopped');
    expect(await server.ended).toBe('bye');
    expect(stopped).toEqual([{ name: 'TestServer', reason: 'bye', dropped: 0 }]);
  });

  test('terminate may still answer', async () => {
    const { server } = await testServer();
    server.hooks.terminate = () => {
      server.kept[0]?.('at last');
    };
    const reply = server.call('later');
    await server.stop();
    expect(await reply).toBe('at last');
  });

  test("'reject' waits only for the batch that runs; what is in the mailbox is dropped and counted", async () => {
    const handler = gate<[readonly TestOp[], number], { state: number }>();
    const { server } = await testServer({ handleBatch: handler });
    server.cast(1);
    await turns();
    server.cast(2);
    const waiting = server.call('x');
    const stopping = server.stop('now', { pending: 'reject' });
    const rejected = expect(waiting).rejects.toBeInstanceOf(StoppedError);
    await turns();
    expect(server.status).toBe('running');
    handler.open({ state: 10 });
    await stopping;
    await rejected;
    expect(server.terminated?.state).toBe(10);
    expect(server.sys.statistics()).toMatchObject({ accepted: 3, handled: 1, dropped: 2, pending: 0 });
  });

  test('after timeout it rejects with TimeoutError and has stopped all the same; what comes later counts no more', async () => {
    const handler = gate<[readonly TestOp[], number], { state: number }>();
    const { server, clock } = await testServer({ handleBatch: handler });
    server.cast(1);
    await turns();
    server.cast(2);
    const reply = expect(server.call('x')).rejects.toBeInstanceOf(StoppedError);
    const stopping = expect(server.stop('bye', { timeout: 50 })).rejects.toMatchObject({ timeout: 50 });
    await clock.advance(50);
    await stopping;
    await reply;
    expect(server.status).toBe('stopped');
    expect(server.terminated).toEqual({ reason: 'bye', state: 0 });
    handler.openAll({ state: 99 });
    await turns();
    expect(server.sys.getState()).toBe(0);
    expect(server.sizes).toEqual([1]);
    expect(server.sys.statistics()).toMatchObject({ accepted: 3, handled: 0, failed: 1, dropped: 2, pending: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  test('a terminate that never ends is left alone: after 1 s the stop has timed out, without timeout after 30 s', async () => {
    const told = warnings();
    for (const [timeout, patience] of [
      [50, 1000],
      [undefined, 30_000],
    ] as const) {
      const { server, clock } = await testServer({ terminate: () => new Promise(() => undefined) });
      const outcome = server.stop('bye', { timeout }).catch((error: unknown) => error);
      await clock.advance(patience - 1);
      expect(server.status).toBe('running');
      await clock.advance(1);
      if (timeout === undefined) expect(await outcome).toBeUndefined();
      else expect(await outcome).toMatchObject({ name: 'TimeoutError', timeout });
      expect(server.status).toBe('stopped');
    }
    expect(told).toEqual([expect.stringContaining('longer than 1000'), expect.stringContaining('longer than 30000')]);
  });

  test('again, concurrently, by close and by disposal: the same promise, the first reason', async () => {
    const { server } = await testServer();
    const first = server.stop('one');
    expect(server.stop('two')).toBe(first);
    expect(server.close()).toBe(first);
    expect(server[Symbol.asyncDispose]()).toBe(first);
    await first;
    expect(await server.ended).toBe('one');
  });

  test("close is stop('shutdown')", async () => {
    const { server } = await testServer();
    await server.close({ pending: 'reject' });
    expect(server.terminated?.reason).toBe('shutdown');
  });

  test('while it is suspended it drains', async () => {
    const { server } = await testServer();
    await server.sys.suspend();
    server.cast(1);
    await server.stop();
    expect(server.sizes).toEqual([1]);
  });

  test('while init runs, it waits for that; with a timeout, start rejects', async () => {
    const init = gate<[], { state: number }>();
    let server: TestServer | undefined;
    class Own extends TestServer {
      override init(hooks: object) {
        // eslint-disable-next-line @typescript-eslint/no-this-alias -- there is no other way to it before the start is over
        server = this;
        return super.init(hooks);
      }
    }
    const clock = new TestClock();
    const started = expect(Own.start({ init }, { clock })).rejects.toBeInstanceOf(StoppedError);
    const stopping = expect(server?.stop('early', { timeout: 5 })).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(5);
    await Promise.all([started, stopping]);
    expect(server?.terminated).toBeUndefined();
    init.open({ state: 1 });
    await turns();
    expect(server?.status).toBe('stopped');
  });

  test('from within a handler, not awaited', async () => {
    const { server } = await testServer({ handleBatch: () => void server.stop('done') });
    server.cast(1);
    expect(await server.ended).toBe('done');
  });
});

describe('a hook that fails', () => {
  test.each<[string, () => unknown]>([
    ['throws', explode],
    ['rejects', () => Promise.reject(boom)],
  ])(
    'handleBatch %s: terminate with the state before the batch, StoppedError with the cause',
    async (_what, handleBatch) => {
      const told = warnings();
      const { server } = await testServer({}, { maxBatchSize: 2 });
      server.cast(5);
      await turns();
      server.hooks.handleBatch = handleBatch as never;
      const callers = [server.call('in the batch'), server.call('too'), server.call('in the mailbox')];
      for (const call of callers) await expect(call).rejects.toMatchObject({ reason: boom, cause: boom });
      expect(server.terminated).toEqual({ reason: boom, state: 5 });
      expect(await server.ended).toBe(boom);
      expect(server.sys.statistics()).toMatchObject({ accepted: 4, handled: 1, failed: 2, dropped: 1 });
      expect(told).toEqual(['TestServer: stopped, since a hook failed: boom']);
      await server.stop();
    },
  );

  test.each<[string, unknown]>([
    ['a number', 1],
    ['null', null],
    ['a list', []],
    ['an unknown field', { stat: 1 }],
    ['a wrong garbageCollect', { garbageCollect: 'yes' }],
  ])('handleBatch returns %s, which counts as a throw', async (_what, value) => {
    const { server } = await testServer({ handleBatch: () => value as never });
    server.on('stopped', () => undefined);
    server.cast(1);
    expect(await server.ended).toBeInstanceOf(TypeError);
    expect(server.terminated?.state).toBe(0);
  });

  test('handleContinue fails: terminate with the state that it was given', async () => {
    const { server } = await testServer({
      handleBatch: () => ({ state: 3, continue: 'x' }),
      handleContinue: async () => explode(),
    });
    server.on('stopped', () => undefined);
    server.cast(1);
    expect(await server.ended).toBe(boom);
    expect(server.terminated?.state).toBe(3);
  });

  test('a chain without handleContinue', async () => {
    const { server } = await testServer({ handleBatch: () => ({ continue: 'x' }) });
    Object.defineProperty(server, 'handleContinue', { value: undefined });
    server.on('stopped', () => undefined);
    server.cast(1);
    expect(await server.ended).toMatchObject({ code: 'ERR_BATCH_HOOK', hook: 'handleContinue' });
  });

  test('{ state, stop }: terminate sees the new state; what waits is dropped', async () => {
    const { server } = await testServer({ handleBatch: () => ({ state: 8, stop: 'full' }) }, { maxBatchSize: 1 });
    server.cast(1);
    server.cast(2);
    expect(await server.ended).toBe('full');
    expect(server.terminated).toEqual({ reason: 'full', state: 8 });
    expect(server.sizes).toEqual([1]);
    expect(server.sys.statistics()).toMatchObject({ handled: 1, dropped: 1, failed: 0 });
  });

  test('{ stop } from a continue chain, and from that of init', async () => {
    for (const init of [() => ({ state: 1, continue: 'x' }), () => ({ state: 1 })]) {
      const { server } = await testServer({
        init,
        handleBatch: () => ({ continue: 'x' }),
        handleContinue: () => ({ stop: 'chain' }),
      });
      server.cast(1);
      expect(await server.ended).toBe('chain');
      expect(server.terminated?.state).toBe(1);
    }
  });

  test('while it drains: what is left is given up, and stop rejects', async () => {
    const { server } = await testServer({ handleBatch: explode }, { maxBatchSize: 1 });
    server.on('stopped', () => undefined);
    server.castBatch([1]);
    server.cast(2);
    await expect(server.stop('bye')).rejects.toMatchObject({ reason: boom });
    expect(server.terminated?.reason).toBe(boom);
    expect(server.sizes).toEqual([1]);
    await server.close().catch(() => undefined);
  });

  test('terminate is optional; its failure is reported', async () => {
    const told = warnings();
    const { server } = await testServer({ terminate: explode });
    await server.stop();
    expect(told).toEqual(['TestServer: terminate failed: boom']);
    const other = await testServer();
    Object.defineProperty(other.server, 'terminate', { value: undefined });
    await other.server.stop();
  });
});

describe('flushMailboxOnTerminate', () => {
  test('terminate sees how many were left, and the first of them, which can be answered', async () => {
    const { server } = await testServer(
      { handleBatch: () => ({ stop: 'x' }) },
      { maxBatchSize: 1, flushMailboxOnTerminate: { summaryCount: 2 } },
    );
    server.hooks.terminate = (_reason, _state, summary) => {
      for (const op of summary?.messages ?? []) if (op.kind === 'call') op.reply('from terminate');
    };
    server.cast(1);
    const reply = server.call('two');
    server.castBatch([3, 4]);
    expect(await reply).toBe('from terminate');
    await server.ended;
    expect(server.terminated?.summary).toMatchObject({
      total: 3,
      messages: [
        { kind: 'call', request: 'two' },
        { kind: 'cast', message: 3 },
      ],
    });
  });

  test('a count of 0 only counts, and after a drain nothing is left', async () => {
    const { server } = await testServer({}, { flushMailboxOnTerminate: { summaryCount: 0 } });
    server.cast(1);
    await server.stop('x', { pending: 'reject' });
    expect(server.terminated?.summary).toEqual({ total: 1, messages: [] });
    const drained = await testServer({}, { flushMailboxOnTerminate: { summaryCount: 0 } });
    drained.server.cast(1);
    await drained.server.stop();
    expect(drained.server.terminated?.summary).toEqual({ total: 0, messages: [] });
  });
});

describe('maxPending', () => {
  async function full(overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest') {
    const bench = await testServer({}, { maxPending: 2, overflow });
    const refused: string[] = [];
    bench.server.on('refused', ({ kind, count, error }) => refused.push(`${count} ${kind} ${error.name}`));
    await bench.server.sys.suspend();
    expect(bench.server.castBatch([1, 2])).toBe(true);
    return { ...bench, refused };
  }

  test("'wait': casts are refused, counted and emitted; a call waits for room", async () => {
    const { server, refused } = await full();
    expect(server.cast(3)).toBe(false);
    expect(server.castBatch([4, 5])).toBe(false);
    expect(server.info('x')).toBe(false);
    const reply = server.call('y');
    const id = server.sendRequest('z');
    expect(server.sys.statistics()).toMatchObject({ accepted: 2, refused: 4, pending: 2 });
    server.sys.resume();
    expect(await reply).toBe('y 3');
    expect(await id.wait()).toEqual({ kind: 'reply', reply: 'z 3' });
    expect(refused).toEqual(['1 cast OverflowError', '2 cast OverflowError', '1 info OverflowError']);
  });

  test("'wait': a call that waits for room may time out, be aborted, or meet the end; none of them is handled", async () => {
    const { server, clock } = await full();
    const controller = new AbortController();
    const late = expect(server.call('a', { timeout: 5 })).rejects.toBeInstanceOf(TimeoutError);
    const aborted = expect(server.call('b', { signal: controller.signal })).rejects.toBe('no');
    const ended = expect(server.call('c')).rejects.toBeInstanceOf(StoppedError);
    controller.abort('no');
    await clock.advance(5);
    await Promise.all([late, aborted]);
    await server.stop();
    await ended;
    expect(server.messages).toEqual([1, 2]);
  });

  test("'wait': who has given up waiting for room is not handled when there is room", async () => {
    const { server, clock } = await full();
    const controller = new AbortController();
    const late = expect(server.call('a', { timeout: 5 })).rejects.toBeInstanceOf(TimeoutError);
    const aborted = expect(server.call('b', { signal: controller.signal })).rejects.toBe('no');
    controller.abort('no');
    const patient = server.call('c');
    await clock.advance(5);
    await Promise.all([late, aborted]);
    server.sys.resume();
    expect(await patient).toBe('c 3');
    expect(server.messages).toEqual([1, 2, 'c']);
  });

  test.each(['reject', 'dropNewest'] as const)('%p: a call is refused at once', async (overflow) => {
    const { server, refused } = await full(overflow);
    await expect(server.call('x')).rejects.toBeInstanceOf(OverflowError);
    expect(await server.sendRequest('x').wait()).toMatchObject({
      kind: 'error',
      error: { code: 'ERR_BATCH_OVERFLOW' },
    });
    expect(server.cast(1)).toBe(false);
    expect(refused).toHaveLength(3);
  });

  test("'dropOldest': what is oldest makes room, a castBatch as a whole", async () => {
    const { server, refused } = await full('dropOldest');
    expect(server.cast(3)).toBe(true);
    expect(refused).toEqual(['2 cast OverflowError']);
    const lost = expect(server.call('lost')).rejects.toBeInstanceOf(OverflowError);
    expect(server.castBatch([4, 5])).toBe(true);
    await lost;
    server.sys.resume();
    await turns();
    expect(server.messages).toEqual([4, 5]);
    expect(server.sys.statistics()).toMatchObject({ accepted: 6, dropped: 4, handled: 2, refused: 0, pending: 0 });
  });

  test("'dropOldest' emptied the mailbox for a castBatch that found no room even then", async () => {
    const work = gate<[readonly TestOp[]], undefined>();
    const { server } = await testServer({ handleBatch: (ops) => work(ops) }, { maxPending: 4, overflow: 'dropOldest' });
    server.castBatch([1, 2]);
    await turns();
    server.cast(3);
    server.cast(4);
    expect(server.castBatch([5, 6, 7])).toBe(false);
    expect(server.sys.statistics()).toMatchObject({ accepted: 4, dropped: 0, refused: 3, pending: 4 });
    expect(server.castBatch([8, 9])).toBe(true);
    expect(server.sys.statistics()).toMatchObject({ dropped: 2, pending: 4 });
    work.openAll(undefined);
    await turns();
    expect(server.messages).toEqual([1, 2, 8, 9]);
  });

  test('a castBatch that could never fit is let in once nothing is pending', async () => {
    const { server } = await testServer({}, { maxPending: 2 });
    expect(server.castBatch([1, 2, 3])).toBe(true);
    await turns();
    expect(server.sizes).toEqual([3]);
  });
});

describe('A2: a reason that no promise can carry', () => {
  const rejects = Promise.reject(boom);
  rejects.catch(() => undefined);
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  test.each<[string, () => unknown]>([
    ['that is a thenable which never settles', () => ({ then: () => undefined })],
    ['whose then throws when looked at', () => Object.defineProperty({}, 'then', { get: explode })],
    ['that is an Error with a then', () => Object.assign(new Error('odd'), { then: () => undefined })],
    ['that is a promise which rejects', () => rejects],
    ['that is a revoked proxy', () => revoked.proxy],
  ])('stop(), a hook and init with one %s end the server and settle every promise', async (_what, make) => {
    const reason = make();
    warnings();
    const stopped = await testServer();
    const waits = stopped.server.call('later').catch((error: unknown) => error as StoppedError);
    await turns();
    await stopped.server.stop(reason);
    const failed = await testServer({ handleBatch: () => ({ stop: reason }) });
    const left = failed.server.call('x').catch((error: unknown) => error as StoppedError);
    for (const error of [await waits, await left, await stopped.server.ended, await failed.server.ended]) {
      expect(error).toBeInstanceOf(StoppedError);
      expect((error as StoppedError).reason === reason).toBe(true);
    }
    const declined = await testServer({ init: () => ({ stop: reason }) }).catch((error: unknown) => error);
    expect(declined).toBeInstanceOf(StoppedError);
  });
});
