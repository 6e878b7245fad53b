import { StoppedError, type TraceEvent } from 'batch-please';
import { gate } from 'batch-please/testing';
import { testServer, turns, type TestOp } from '../support/servers.js';

afterEach(() => jest.restoreAllMocks());

describe('sys', () => {
  test('suspended, messages queue and calls time out; resumed, all of them are handled in adaptive batches', async () => {
    const { server, clock } = await testServer();
    await server.sys.suspend();
    expect(server.status).toBe('suspended');
    for (let i = 0; i < 100; i++) server.cast(1);
    const late = expect(server.call('x', { timeout: 10 })).rejects.toMatchObject({ code: 'ERR_BATCH_TIMEOUT' });
    await clock.advance(10);
    await late;
    expect(server.sizes).toEqual([]);
    server.sys.resume();
    expect(server.status).toBe('running');
    await turns();
    expect(server.sizes).toEqual([32, 64, 5]);
  });

  test('suspend waits for the batch that runs, and holds back the next', async () => {
    const handler = gate<[readonly TestOp[], number], void>();
    const { server } = await testServer({ handleBatch: handler });
    server.cast(1);
    await turns();
    const suspended = server.sys.suspend();
    expect(server.sys.suspend()).toBe(suspended);
    server.cast(2);
    await turns();
    expect(server.status).toBe('running');
    handler.open();
    await suspended;
    expect(server.status).toBe('suspended');
    await turns();
    expect(server.sizes).toEqual([1]);
    server.sys.resume();
    await turns();
    expect(server.sizes).toEqual([1, 1]);
    handler.open();
    await server.stop();
  });

  test('resume calls off a suspension that has not begun; both may be called in any state', async () => {
    const handler = gate<[readonly TestOp[], number], void>();
    const { server } = await testServer({ handleBatch: handler });
    server.sys.resume();
    server.cast(1);
    await turns();
    const suspended = server.sys.suspend();
    server.sys.resume();
    handler.openAll();
    await suspended;
    expect(server.status).toBe('running');
    server.cast(2);
    await turns();
    expect(server.sizes).toEqual([1, 1]);
    await server.stop();
    await expect(server.sys.suspend()).rejects.toBeInstanceOf(StoppedError);
    server.sys.resume();
    expect(server.status).toBe('stopped');
  });

  test('a stop is not late for a suspension that had not begun', async () => {
    const { server } = await testServer();
    await server.sys.suspend();
    server.cast(1);
    server.sys.resume();
    const suspended = server.sys.suspend();
    await server.stop('now', { pending: 'reject', timeout: 1000 });
    await suspended;
    expect(server.sys.statistics()).toMatchObject({ accepted: 1, dropped: 1 });
  });

  test('a crash fails a suspension that has not begun, and a replacement', async () => {
    const handler = gate<[readonly TestOp[], number], void>();
    const { server } = await testServer({ handleBatch: handler });
    server.on('stopped', () => undefined);
    server.cast(1);
    await turns();
    const suspended = expect(server.sys.suspend()).rejects.toBeInstanceOf(StoppedError);
    const replaced = expect(server.sys.replaceState(() => 99)).rejects.toBeInstanceOf(StoppedError);
    handler.fail(new Error('boom'));
    await Promise.all([suspended, replaced]);
    expect(server.terminated?.state).toBe(0);
  });

  test('while terminate runs after a crash, a replacement waits, and then fails: terminate keeps the state it was given', async () => {
    const terminate = gate<[unknown, number], void>();
    const { server } = await testServer({ handleBatch: () => Promise.reject(new Error('boom')), terminate });
    server.on('stopped', () => undefined);
    server.cast(1);
    await turns();
    const replace = jest.fn(() => 99);
    const replaced = expect(server.sys.replaceState(replace)).rejects.toBeInstanceOf(StoppedError);
    await turns();
    terminate.open();
    await replaced;
    expect(replace).not.toHaveBeenCalled();
    expect([terminate.calls.length, server.sys.getState()]).toEqual([1, 0]);
  });

  test.each([
    ['resolves', () => Promise.resolve(7)],
    ['rejects', () => Promise.reject(new Error('no'))],
    ['never settles', () => ({ then: () => undefined })],
  ])('replaceState with a promise that %s rejects, and the state stays', async (_, replace) => {
    const { server } = await testServer();
    const replaced = server.sys.replaceState(replace as never);
    await expect(replaced).rejects.toThrow('replaceState: the function returned a promise; expected the new state');
    expect(server.sys.getState()).toBe(0);
  });

  test('getState and replaceState', async () => {
    const { server } = await testServer();
    expect(server.sys.getState()).toBe(0);
    expect(await server.sys.replaceState((state) => state + 5)).toBe(5);
    expect(server.sys.getState()).toBe(5);
    const error = new Error('no');
    const failed = server.sys.replaceState(() => {
      throw error;
    });
    await expect(failed).rejects.toBe(error);
    expect(server.sys.getState()).toBe(5);
    expect(await server.call('x')).toBe('x 5');
  });

  test('a replacement is not overwritten by the batch that runs', async () => {
    const handler = gate<[readonly TestOp[], number], { state: number }>();
    const { server } = await testServer({ handleBatch: handler });
    server.cast(1);
    await turns();
    const replaced = server.sys.replaceState((state) => state * 10);
    expect(server.sys.getState()).toBe(0);
    handler.open({ state: 4 });
    expect(await replaced).toBe(40);
    expect(server.sys.getState()).toBe(40);
    await server.stop();
  });

  test('getStatus shows the state by formatStatus; if that fails, as it is', async () => {
    const told: string[] = [];
    jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void told.push(String(warning)));
    const { server } = await testServer({ formatStatus: (state) => `sum ${state}` }, { name: 'adder' });
    expect(server.sys.getStatus()).toEqual({ name: 'adder', status: 'running', state: 'sum 0', limit: 32, pending: 0 });
    server.hooks.formatStatus = () => {
      throw new Error('ugly');
    };
    expect(server.sys.getStatus().state).toBe(0);
    expect(told).toEqual(['adder: formatStatus failed: ugly']);
    Object.defineProperty(server, 'formatStatus', { value: undefined });
    expect(server.sys.getStatus().state).toBe(0);
  });

  test('trace: one event per message in, reply out and batch, until it is ended', async () => {
    const { server } = await testServer();
    const events: string[] = [];
    const show = (event: TraceEvent<string, string, number, string>): string => {
      if (event.type === 'in') return `in ${event.op.kind}`;
      if (event.type === 'batch') return `batch ${event.size} of ${event.limit}`;
      return 'reply' in event ? `out ${event.reply}` : `out ${String(event.error)}`;
    };
    const end = server.sys.trace((event) => {
      expect(event.name).toBe('TestServer');
      events.push(show(event));
    });
    server.cast(1);
    server.castBatch([2, 3]);
    server.info('x');
    await server.call('y');
    expect(events).toEqual(['in cast', 'in cast', 'in cast', 'in info', 'in call', 'out y 6', 'batch 5 of 32']);
    end();
    await server.call('z');
    expect(events).toHaveLength(7);
  });

  test('a trace listener that throws harms nothing', async () => {
    const told = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { server } = await testServer();
    server.sys.trace(() => {
      throw new Error('listener');
    });
    expect(await server.call('x')).toBe('x 0');
    expect(told).toHaveBeenCalled();
  });

  test('statistics count messages by outcome and give the distributions of batch sizes and durations', async () => {
    const { server, clock } = await testServer();
    server.hooks.handleBatch = async (ops, state) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, ops.length));
      return server.answer(ops, state);
    };
    server.castBatch(Array.from({ length: 40 }, () => 1));
    await clock.advance(40);
    server.cast(1);
    await clock.advance(1);
    expect(server.sys.statistics()).toMatchObject({
      name: 'TestServer',
      status: 'running',
      limit: 32, // 64 after the full batch, then halved
      batches: 2,
      ops: 41,
      accepted: 41,
      handled: 41,
      failed: 0,
      dropped: 0,
      refused: 0,
      pending: 0,
      unanswered: 0,
      sizes: { count: 2, min: 1, max: 40, mean: 20.5, p50: 1, p95: 40, p99: 40 },
      durations: { count: 2, min: 1, max: 40, mean: 20.5 },
    });
  });

  test('garbageCollect collects before the next wait, if it can: once for each batch that asks for it', async () => {
    const collected = jest.fn();
    Object.assign(globalThis, { gc: collected });
    let asks = true;
    const { server } = await testServer({ handleBatch: () => ({ garbageCollect: asks }) });
    server.cast(1);
    await turns();
    expect(collected).toHaveBeenCalledTimes(1);
    asks = false;
    server.cast(2);
    await turns();
    expect(collected).toHaveBeenCalledTimes(1);
    asks = true;
    Object.assign(globalThis, { gc: undefined });
    server.cast(3);
    await turns();
    await server.stop();
  });
});
