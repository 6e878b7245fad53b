import { BatchServer, MissingHookError, OptionsError, StoppedError } from 'batch-please';
import { gate } from 'batch-please/testing';
import { TestServer, testServer, turns } from '../support/servers.js';

afterEach(() => jest.restoreAllMocks());

describe('start', () => {
  test('resolves with the server when init is done, with the state that it made', async () => {
    const { server } = await testServer({ init: () => ({ state: 7 }) });
    expect(server).toBeInstanceOf(TestServer);
    expect(server.status).toBe('running');
    expect(server.sys.getState()).toBe(7);
  });

  test('the starter hears of it before the continue chain, and the chain comes before any message', async () => {
    const chain = (term: unknown) => (term === 'one' ? { state: 1, continue: 'two' } : undefined);
    const { server } = await testServer({ init: () => ({ state: 0, continue: 'one' }), handleContinue: chain });
    server.log.push('started');
    server.cast(1);
    await turns();
    expect(server.log).toEqual(['init', 'started', 'continue one', 'continue two', 'batch 1']);
    expect(server.sys.getState()).toBe(2);
  });

  test('an async init, an async chain', async () => {
    const init = gate<[], { state: number; continue: string }>();
    const started = TestServer.start({ init, handleContinue: async () => ({ state: 5 }) });
    await turns();
    init.open({ state: 1, continue: 'x' });
    const server = await started;
    await turns();
    expect(server.sys.getState()).toBe(5);
  });

  test('messages that the server sends itself in init come after the chain', async () => {
    class Eager extends TestServer {
      override init(): { state: number; continue: string } {
        this.cast(3);
        expect(this.status).toBe('starting');
        return { state: 0, continue: 'x' };
      }
    }
    const server = await Eager.start();
    await turns();
    expect(server.log).toEqual(['continue x', 'batch 1']);
  });

  test('{ ignore: true }: the status says so, nothing is accepted, and no other hook is called', async () => {
    const { server } = await testServer({ init: () => ({ ignore: true }) });
    expect(server.status).toBe('ignored');
    expect(await server.ended).toBe('ignored');
    server.on('refused', () => undefined);
    expect(server.cast(1)).toBe(false);
    await expect(server.call('x')).rejects.toBeInstanceOf(StoppedError);
    await server.stop();
    expect(server.status).toBe('ignored');
    expect(server.log).toEqual(['init']);
  });

  test('{ stop: reason } rejects with StoppedError; terminate is not called', async () => {
    const terminate = jest.fn();
    const started = TestServer.start({ init: () => ({ stop: 'no disk' }), terminate });
    await expect(started).rejects.toMatchObject({ code: 'ERR_BATCH_STOPPED', reason: 'no disk' });
    await expect(started).rejects.toBeInstanceOf(StoppedError);
    await turns();
    expect(terminate).not.toHaveBeenCalled();
  });

  test.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
      'boom',
    ],
    ['rejects', () => Promise.reject(new Error('boom')), 'boom'],
    ['returns another shape', () => ({ status: 1 }), 'init returned an object with the field status'],
    ['returns a number', () => 5, 'init returned a number'],
    ['returns null', () => null, 'init returned null'],
    ['ignores and more', () => ({ ignore: true, state: 1 }), 'the field ignore'],
    ['ignores with false', () => ({ ignore: false }), 'the field ignore'],
  ])('an init that %s rejects, without terminate', async (_what, init, message) => {
    const terminate = jest.fn();
    await expect(TestServer.start({ init, terminate })).rejects.toThrow(message);
    await turns();
    expect(terminate).not.toHaveBeenCalled();
  });

  test('a required hook is missing', async () => {
    const Nothing = class extends (BatchServer as unknown as typeof TestServer) {};
    Object.defineProperty(Nothing.prototype, 'init', { value: undefined, writable: true, configurable: true });
    await expect(Nothing.start()).rejects.toBeInstanceOf(MissingHookError);
    Object.defineProperty(Nothing.prototype, 'init', { value: () => undefined });
    await expect(Nothing.start()).rejects.toThrow('has no handleBatch: write it as a method of the class');
  });

  test.each<[option: string, options: Record<string, unknown>]>([
    ['minBatchSize', { minBatchSize: 0 }],
    ['minBatchSize', { minBatchSize: 1.5 }],
    ['minBatchSize', { minBatchSize: 33, maxBatchSize: 32 }],
    ['minBatchSize', { minBatchSize: 9000 }],
    ['maxBatchSize', { maxBatchSize: 0 }],
    ['maxBatchSize', { maxBatchSize: '10' }],
    ['batchSizeGrowth', { batchSizeGrowth: 'linear' }],
    ['batchSizeGrowth', { batchSizeGrowth: { aimd: 0 } }],
    ['batchSizeGrowth', { batchSizeGrowth: { latency: -1 } }],
    ['batchSizeGrowth', { batchSizeGrowth: { aimd: 1, latency: 1 } }],
    ['flushMailboxOnTerminate', { flushMailboxOnTerminate: true }],
    ['flushMailboxOnTerminate', { flushMailboxOnTerminate: { summaryCount: -1 } }],
    ['reversedBatch', { reversedBatch: 1 }],
    ['hardLimit', { hardLimit: 'yes' }],
    ['maxPending', { maxPending: 0 }],
    ['overflow', { overflow: 'block' }],
    ['clock', { clock: {} }],
    ['name', { name: 5 }],
    ['bogus', { bogus: 1 }],
  ])('a wrong %s: %p', async (option, options) => {
    await expect(TestServer.start({}, options)).rejects.toMatchObject({ code: 'ERR_BATCH_OPTIONS', option });
  });

  test('a smaller maxBatchSize is the first limit as well', async () => {
    const { server } = await testServer({}, { maxBatchSize: 10 });
    expect(server.sys.statistics().limit).toBe(10);
  });

  test('wrong options of call, stop and close reject, and those of castBatch throw; the server goes on', async () => {
    const { server } = await testServer();
    for (const options of [{ timeout: -1 }, { timeOut: 1 }, 5, { signal: {} }, { timeout: 1, signal: 'no' }]) {
      await expect(server.call('x', options as never)).rejects.toBeInstanceOf(OptionsError);
    }
    await expect(server.stop('x', { pending: 'drop' as never })).rejects.toBeInstanceOf(OptionsError);
    await expect(server.close({ timeout: NaN })).rejects.toBeInstanceOf(OptionsError);
    void server.close({ timeout: -1 }); // ignored: no unhandled rejection
    expect(() => server.castBatch(5 as never)).toThrow(OptionsError);
    expect(() => server.castBatch('abc' as never)).toThrow(OptionsError);
    expect(await server.call('x')).toBe('x 0');
  });
});
