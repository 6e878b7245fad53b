import { StoppedError, TimeoutError } from 'batch-please';
import { gate } from 'batch-please/testing';
import { strayErrors } from '../support/collectors.js';
import { TestServer, testServer, turns, type TestOp } from '../support/servers.js';

describe('messages', () => {
  test('arrive in order, whatever their kind, and never inside the verb that sends them', async () => {
    const seen: TestOp[] = [];
    const { server } = await testServer({ handleBatch: (ops) => void seen.push(...ops) });
    expect(server.cast(1)).toBe(true);
    void server.call('two').catch(() => undefined);
    expect(server.castBatch([3, 4])).toBe(true);
    expect(server.info('five')).toBe(true);
    expect(seen).toEqual([]);
    await turns();
    expect(server.messages).toEqual([1, 'two', 3, 4, 'five']);
    expect(seen.map(({ kind }) => kind)).toEqual(['cast', 'call', 'cast', 'cast', 'info']);
    expect(server.sizes).toEqual([5]);
    await server.stop();
  });

  test('reversedBatch gives the newest first', async () => {
    const { server } = await testServer({}, { reversedBatch: true });
    server.castBatch([1, 2, 3]);
    server.cast(4);
    await turns();
    expect(server.messages).toEqual([4, 3, 2, 1]);
  });

  test('what looks like a message of another kind stays the cast that it is', async () => {
    const seen: unknown[] = [];
    let kept: TestOp | undefined;
    const { server } = await testServer({
      handleBatch(ops) {
        for (const op of ops) {
          if (op.kind === 'call') kept = op;
          else seen.push(op.message);
        }
      },
    });
    const reply = server.call('x', { timeout: Infinity });
    await turns();
    server.cast(kept as never);
    server.cast({ kind: 'info', message: 1 } as never);
    server.cast(undefined as never);
    await turns();
    expect(seen).toEqual([kept, { kind: 'info', message: 1 }, undefined]);
    if (kept?.kind === 'call') kept.reply('done');
    expect(await reply).toBe('done');
  });

  test('an empty castBatch starts no batch, and any iterable will do', async () => {
    const { server } = await testServer();
    expect(server.castBatch([])).toBe(true);
    server.castBatch(new Set([1, 2]));
    await turns();
    expect(server.sizes).toEqual([2]);
  });

  test('a castBatch whose iterator casts stays in one piece', async () => {
    const { server } = await testServer({}, { minBatchSize: 2, maxBatchSize: 2 });
    server.castBatch(
      (function* () {
        yield 1;
        server.cast(9);
        yield 2;
        yield 3;
      })(),
    );
    await turns();
    expect(server.messages).toEqual([9, 1, 2, 3]);
    expect(server.sizes).toEqual([4]); // 9 and what is indivisible behind it
  });

  test('a handler that casts to itself for ever leaves the event loop to others', async () => {
    const { server } = await testServer({ handleBatch: (ops) => ops.forEach(() => server.cast(1)) });
    server.on('refused', () => undefined);
    for (let i = 0; i < 100; i++) server.cast(1);
    await turns(20);
    expect(server.sizes.length).toBeGreaterThan(20);
    await server.stop();
    expect(server.status).toBe('stopped');
  });

  test('so does an async one', async () => {
    const { server } = await testServer({ handleBatch: async (ops) => ops.forEach(() => server.cast(1)) });
    server.on('refused', () => undefined);
    server.cast(1);
    await turns(20);
    expect(server.sizes.length).toBeGreaterThan(10);
    await server.stop();
  });

  test('while an async handler runs, messages queue', async () => {
    const handler = gate<[readonly TestOp[], number], void>();
    const { server } = await testServer({ handleBatch: handler });
    server.cast(1);
    await turns();
    server.cast(2);
    await turns();
    server.cast(3);
    await turns();
    expect(server.sizes).toEqual([1]);
    handler.openAll();
    await turns();
    expect(server.sizes).toEqual([1, 2]);
  });

  test('an endless continue chain does not starve the event loop', async () => {
    const { server } = await testServer({ handleContinue: (_term, state) => ({ state: state + 1, continue: 'on' }) });
    server.hooks.handleBatch = () => ({ continue: 'on' });
    server.cast(1);
    await turns(10);
    expect(server.sys.getState()).toBeGreaterThan(100);
    await expect(server.stop('enough', { timeout: 0 })).rejects.toBeInstanceOf(TimeoutError);
    const state = server.sys.getState();
    await turns();
    expect(server.sys.getState()).toBe(state);
  });
});

describe('call', () => {
  test('takes null for options left out, as the other verbs do', async () => {
    const { server } = await testServer();
    expect(await server.call('sum', null)).toBe('sum 0');
  });

  test('is answered; the reply sees the state that the batch made', async () => {
    const { server } = await testServer();
    server.cast(5);
    expect(await server.call('sum')).toBe('sum 5');
  });

  test('fail rejects with the error as it is', async () => {
    const error = { odd: true };
    const { server } = await testServer({
      handleBatch: (ops) => ops.forEach((op) => op.kind === 'call' && op.fail(error)),
    });
    await expect(server.call('x')).rejects.toBe(error);
  });

  test('reply may be kept, without its op, for a later batch; only the first answer counts', async () => {
    const { server } = await testServer();
    const reply = server.call('later');
    await turns();
    expect(server.sys.statistics().unanswered).toBe(1);
    server.kept[0]?.('first');
    server.kept[0]?.('second');
    expect(await reply).toBe('first');
    expect(server.sys.statistics().unanswered).toBe(0);
  });

  test('a reply that is a promise is awaited, no longer than the caller wants to wait', async () => {
    const { server, clock } = await testServer({
      handleBatch(ops) {
        for (const op of ops)
          if (op.kind === 'call') op.reply(op.request === 'x' ? Promise.resolve('y') : new Promise(() => undefined));
      },
    });
    expect(await server.call('x')).toBe('y');
    const late = expect(server.call('z', { timeout: 10 })).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(10);
    await late;
  });

  test('fail with a promise ended the process, or rejected with the promise: it rejects with what becomes of it', async () => {
    const failWith: Record<string, (op: TestOp) => void> = {
      rejected: (op) => op.kind === 'call' && op.fail(Promise.reject(new Error('down'))),
      resolved: (op) => op.kind === 'call' && op.fail(Promise.resolve(new Error('refused'))),
      pending: (op) => op.kind === 'call' && op.fail(new Promise(() => undefined)),
      second(op) {
        if (op.kind !== 'call') return;
        op.fail(new Error('first'));
        op.fail(Promise.reject(new Error('second')));
      },
    };
    const stray = await strayErrors(async () => {
      const { server, clock } = await testServer({
        handleBatch: (ops) => ops.forEach((op) => op.kind === 'call' && failWith[op.request]?.(op)),
      });
      const outcome = (name: string): Promise<string> => server.call(name, { timeout: 10 }).then(String, String);
      expect(await outcome('rejected')).toBe('Error: down');
      expect(await outcome('resolved')).toBe('Error: refused');
      expect(await outcome('second')).toBe('Error: first');
      const late = outcome('pending');
      await clock.advance(10);
      expect(await late).toMatch(/^TimeoutError: .* took longer than 10 ms/);
    });
    expect(stray).toEqual([]);
  });

  test('an answer with a promise that rejects after its caller has left is no unhandled rejection', async () => {
    const stray = await strayErrors(async () => {
      const { server, clock } = await testServer();
      const ops: TestOp[] = [];
      server.handleBatch = (batch) => void ops.push(...batch);
      const calls = [1, 2].map(() => server.call('x', { timeout: 10 }).then(String, String));
      await turns();
      await clock.advance(10);
      await Promise.all(calls);
      const [first, second] = ops;
      if (first?.kind === 'call') first.fail(Promise.reject(new Error('late')));
      if (second?.kind === 'call') second.reply(Promise.reject(new Error('late')));
    });
    expect(stray).toEqual([]);
  });

  test('times out after 5000 ms by default; the request is handled all the same', async () => {
    const { server, clock } = await testServer();
    await server.sys.suspend();
    const timedOut = expect(server.call('x')).rejects.toMatchObject({ code: 'ERR_BATCH_TIMEOUT', timeout: 5000 });
    let over = false;
    void timedOut.then(() => (over = true));
    await clock.advance(4999);
    expect(over).toBe(false);
    await clock.advance(1);
    await timedOut;
    server.sys.resume();
    await turns();
    expect(server.messages).toEqual(['x']);
  });

  test('a late reply is dropped', async () => {
    const { server, clock } = await testServer();
    const timedOut = expect(server.call('later', { timeout: 5 })).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(5);
    await timedOut;
    server.kept[0]?.('late');
    expect(server.sys.statistics().unanswered).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('each waits as long as it wants to, whatever the order, and for ever with Infinity', async () => {
    const { server, clock } = await testServer();
    const order: string[] = [];
    for (const timeout of [30, 10, 20, Infinity, 10]) {
      server.call('later', { timeout }).catch(() => order.push(`${timeout} at ${clock.now()}`));
    }
    await clock.advance(100_000);
    expect(order).toEqual(['10 at 10', '10 at 10', '20 at 20', '30 at 30']);
    await server.stop();
    expect(order.at(-1)).toBe('Infinity at 100000');
  });

  test('many timeouts, answered in any order, leave nothing behind', async () => {
    const { server, clock } = await testServer();
    const calls = Array.from({ length: 5000 }, (_, i) => server.call('later', { timeout: 1000 + (i % 20) }));
    await clock.advance(1);
    server.kept.forEach((reply, i) => i % 2 === 0 && reply('even'));
    await clock.advance(1);
    server.kept.forEach((reply) => {
      reply('odd');
    });
    expect((await Promise.all(calls)).filter((reply) => reply === 'even')).toHaveLength(2500);
    expect(server.sys.statistics().unanswered).toBe(0);
    await clock.advance(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('an abort rejects with its reason; the request is handled all the same', async () => {
    const { server } = await testServer();
    const controller = new AbortController();
    const aborted = expect(server.call('x', { signal: controller.signal })).rejects.toBe('enough');
    controller.abort('enough');
    await aborted;
    await turns();
    expect(server.messages).toEqual(['x']);
    await expect(server.call('y', { signal: AbortSignal.abort('before') })).rejects.toBe('before');
    await turns();
    expect(server.messages).toEqual(['x']);
    expect(await server.call('z', { signal: new AbortController().signal })).toBe('z 0');
  });

  test('after the end: StoppedError with the reason', async () => {
    const { server } = await testServer();
    await server.stop('bye');
    await expect(server.call('x')).rejects.toMatchObject({ reason: 'bye' });
    await expect(server.call('x')).rejects.toBeInstanceOf(StoppedError);
  });

  test('an idle server holds no timer and no handle', async () => {
    const { server, clock } = await testServer();
    const reply = server.call('x');
    await clock.advance(0);
    expect(await reply).toBe('x 0');
    expect(clock.pendingTimers).toBe(0);
    server.cast(1);
    await server.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test('works on the system clock', async () => {
    const server = await TestServer.start({});
    server.cast(2);
    expect(await server.call('x', { timeout: 1000 })).toBe('x 2');
    await expect(server.call('later', { timeout: 1 })).rejects.toBeInstanceOf(TimeoutError);
    await server.stop();
  });
});
