import { getEventListeners } from 'node:events';
import { OptionsError, RequestCollection, StoppedError, TimeoutError } from 'batch-please';
import { gate } from 'batch-please/testing';
import { testServer, turns, type TestOp } from '../support/servers.js';

const boom = new Error('boom');
const explode = (): never => {
  throw boom;
};

let told: string[];
beforeEach(() => {
  told = [];
  jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void told.push(String(warning)));
});
afterEach(() => jest.restoreAllMocks());

describe('what hooks return', () => {
  const throwing = (field: string): object => Object.defineProperty({}, field, { get: explode, enumerable: true });

  test.each<[string, () => unknown]>([
    ['a function', () => explode],
    ['a string', () => 'state'],
    ['true', () => true],
    ['a symbol', () => Symbol('state')],
    ['a Map', () => new Map([['state', 1]])],
    ['a Map with a field', () => Object.assign(new Map(), { size2: 1 })],
    ['an Error', () => new Error('disk full')],
    ['a Date', () => new Date(0)],
    ['an instance of a class without fields', () => new (class Result {})()],
    ['a field of a prototype', () => Object.create({ odd: 1 }) as object],
    ['a state whose getter throws', () => throwing('state')],
    ['a stop whose getter throws', () => throwing('stop')],
    ['a garbageCollect whose getter throws', () => throwing('garbageCollect')],
    ['a then whose getter throws', () => throwing('then')],
    ['a thenable that throws', () => ({ then: explode })],
    [
      'a thenable that rejects',
      () => ({
        then: (_: unknown, reject: (error: unknown) => void) => {
          reject(boom);
        },
      }),
    ],
    [
      'a thenable of another shape',
      () => ({
        then: (resolve: (value: unknown) => void) => {
          resolve(7);
        },
      }),
    ],
    [
      'a proxy that throws',
      () => new Proxy({}, { ownKeys: explode, get: (_, key) => (key === 'then' ? undefined : explode()) }),
    ],
    ['a promise of another shape', () => Promise.resolve([1])],
  ])('handleBatch and handleContinue: %s counts as a throw', async (_what, answer) => {
    for (const hooks of [
      { handleBatch: answer as never },
      { handleBatch: () => ({ continue: 'x' }), handleContinue: answer },
      { init: () => ({ state: 0, continue: 'x' }), handleContinue: answer },
    ]) {
      const { server, clock } = await testServer(hooks);
      const reply = expect(server.call('x')).rejects.toBeInstanceOf(StoppedError);
      expect(await server.ended).toBeInstanceOf(Error);
      await reply;
      expect(server.terminated?.state).toBe(0);
      const { accepted, handled, failed, dropped } = server.sys.statistics();
      expect(handled + failed + dropped).toBe(accepted);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  test.each([null, 'text', 5, { message: 'no error' }, Symbol('x')])(
    'a hook may throw anything: %p',
    async (thrown) => {
      const { server } = await testServer({
        handleBatch: () => {
          throw thrown;
        },
      });
      const call = server.call('x');
      await expect(call).rejects.toMatchObject({ code: 'ERR_BATCH_STOPPED', reason: thrown });
      expect(await server.ended).toBe(thrown);
      await server.stop();
    },
  );

  test('a hook that throws undefined stops the server as well', async () => {
    const { server } = await testServer({
      handleBatch: () => {
        throw undefined;
      },
    });
    await expect(server.call('x')).rejects.toBeInstanceOf(StoppedError);
    expect(await server.ended).toBeUndefined();
    expect(server.terminated).toEqual({ reason: undefined, state: 0 });
  });

  test('{ stop: null } and { continue: 0 } ask for something, undefined asks for nothing', async () => {
    const terms: unknown[] = [];
    const { server } = await testServer({
      handleBatch: () => ({ state: undefined, stop: undefined, continue: 0 }),
      handleContinue: (term) => {
        terms.push(term);
        return { stop: null };
      },
    });
    server.cast(1);
    expect(await server.ended).toBeNull();
    expect(terms).toEqual([0]);
    expect(server.terminated).toEqual({ reason: null, state: 0 });
  });
});

describe('replies', () => {
  test('twice, in every combination: the first counts, and only it is traced', async () => {
    const { server } = await testServer({
      handleBatch(ops) {
        for (const op of ops) {
          if (op.kind !== 'call') continue;
          if (op.request === 'reply') op.reply('first');
          else op.fail('first');
          op.reply('second');
          op.fail(boom);
          op.reply(Promise.reject(boom));
        }
      },
    });
    const out: unknown[] = [];
    server.sys.trace((event) => event.type === 'out' && out.push('reply' in event ? event.reply : event.error));
    expect(await server.call('reply')).toBe('first');
    await expect(server.call('fail')).rejects.toBe('first');
    await turns();
    expect(out).toEqual(['first', 'first']);
    expect(server.sys.statistics().unanswered).toBe(0);
  });

  test('a pending promise first, a value and an error after it: the promise counts', async () => {
    const first = gate<[], string>();
    const { server } = await testServer({
      handleBatch: (ops) =>
        ops.forEach((op) => {
          if (op.kind !== 'call') return;
          op.reply(first());
          op.reply('value');
          op.fail(boom);
        }),
    });
    const reply = server.call('x');
    await turns();
    expect(server.sys.statistics().unanswered).toBe(1);
    first.openAll('first');
    expect(await reply).toBe('first');
  });

  test.each<[string, () => unknown]>([
    ['throws', () => ({ then: explode })],
    ['throws when looked at', () => Object.defineProperty({}, 'then', { get: explode })],
    ['rejects', () => Promise.reject(boom)],
  ])('a reply that is a thenable which %s fails its caller, and no other', async (_what, value) => {
    const { server } = await testServer({
      handleBatch: (ops) =>
        ops.forEach((op) => {
          if (op.kind === 'call') op.reply(op.request === 'x' ? (value() as string) : 'fine');
        }),
    });
    const calls = [server.call('x'), server.call('y')] as const;
    await expect(calls[0]).rejects.toBe(boom);
    expect(await calls[1]).toBe('fine');
    expect(server.status).toBe('running');
  });

  test.each(['before', 'after'])('a cast of a proxy that is revoked %s it is handled as any other', async (moment) => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    if (moment === 'before') revoke();
    const seen: unknown[] = [];
    const { server } = await testServer({
      handleBatch: (ops) => ops.forEach((op) => op.kind === 'cast' && seen.push(op.message)),
    });
    const odd = proxy as unknown as number;
    expect(server.cast(odd)).toBe(true);
    expect(server.castBatch([1, odd, 2])).toBe(true);
    revoke();
    await server.stop();
    expect(seen.map((message) => message === odd || message)).toEqual([true, 1, true, 2]);
  });

  test('after the end: nothing happens', async () => {
    const { server, clock } = await testServer();
    const reply = expect(server.call('later')).rejects.toMatchObject({ reason: 'bye' });
    await turns();
    await server.stop('bye');
    await reply;
    server.kept[0]?.('too late');
    await turns();
    expect(server.sys.statistics().unanswered).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a handler that empties its list: callers time out after 5 s, or hear of the stop', async () => {
    const { server, clock } = await testServer({ handleBatch: (ops) => void (ops as TestOp[]).splice(0) });
    const timed = expect(server.call('x')).rejects.toBeInstanceOf(TimeoutError);
    await clock.advance(5000);
    await timed;
    const left = expect(server.call('y')).rejects.toBeInstanceOf(StoppedError);
    await turns();
    const leftByStop = expect(server.call('z')).rejects.toBeInstanceOf(StoppedError);
    await server.stop();
    await Promise.all([left, leftByStop]);
    expect(server.messages).toEqual(['x', 'y', 'z']);
    expect(clock.pendingTimers).toBe(0);
  });

  test.each(['drain', 'reject'] as const)(
    'a call and a stop in one turn (%s): the caller hears of the stop',
    async (pending) => {
      const { server } = await testServer();
      const left = expect(server.call('later')).rejects.toBeInstanceOf(StoppedError);
      await server.stop('bye', { pending });
      await left;
      expect(server.sys.statistics().unanswered).toBe(0);
    },
  );

  test('an answered call listens to its signal no more', async () => {
    const { server } = await testServer();
    const { signal } = new AbortController();
    expect(await server.call('x', { signal })).toBe('x 0');
    const failed = server.call('later', { signal });
    await server.stop();
    await expect(failed).rejects.toBeInstanceOf(StoppedError);
    await expect(server.call('y', { signal })).rejects.toBeInstanceOf(StoppedError);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('a server that calls itself', () => {
  test('and waits for it, waits for itself: the inner call times out, the server lives on', async () => {
    const { server, clock } = await testServer();
    const inner: unknown[] = [];
    server.hooks.handleBatch = async (ops, state) => {
      for (const op of ops) {
        if (op.kind === 'call' && op.request === 'outer') {
          await server.call('inner').catch((error: unknown) => inner.push(error));
        }
      }
      return server.answer(ops, state);
    };
    const outer = server.call('outer', { timeout: Infinity });
    await clock.advance(5000);
    expect(inner).toEqual([expect.any(TimeoutError)]);
    expect(await outer).toBe('outer 0');
    await turns();
    expect(server.messages).toEqual(['outer', 'inner']);
  });

  test('and does not wait for it, is answered in the next batch', async () => {
    const { server } = await testServer();
    const answers: Promise<string>[] = [];
    server.hooks.handleBatch = (ops, state) => {
      if (server.sizes.length === 1) answers.push(server.call('inner'));
      return server.answer(ops, state);
    };
    server.cast(4);
    await turns();
    expect(await answers[0]).toBe('inner 4');
    expect(server.sizes).toEqual([1, 1]);
  });

  test('while a second batch waits, joins it: if it is left unanswered, it times out', async () => {
    const { server, clock } = await testServer({}, { minBatchSize: 1 });
    let inner: Promise<void> | undefined;
    server.hooks.handleBatch = (ops, state) => {
      inner ??= expect(server.call('later')).rejects.toBeInstanceOf(TimeoutError);
      return server.answer(ops, state);
    };
    server.cast(1);
    server.cast(2);
    await turns();
    expect(server.sizes).toEqual([1, 2]);
    await clock.advance(5000);
    await inner;
  });

  test('a handler that awaits stop waits for itself: only a timeout ends that', async () => {
    const { server, clock } = await testServer();
    const late: unknown[] = [];
    server.hooks.handleBatch = async () => {
      await server.stop('inside', { timeout: 100 }).catch((error: unknown) => late.push(error));
    };
    server.cast(1);
    await clock.advance(100);
    expect(await server.ended).toBe('inside');
    await turns();
    expect(late).toEqual([expect.any(TimeoutError)]);
    expect(server.terminated).toEqual({ reason: 'inside', state: 0 });
  });

  test('stops within handleBatch, not awaited: what it accepted before is handled, what comes later is not', async () => {
    const { server } = await testServer({}, { maxBatchSize: 1 });
    server.on('refused', () => undefined);
    const accepted: boolean[] = [];
    server.hooks.handleBatch = () => {
      accepted.push(server.cast(8));
      void server.stop('inside');
      accepted.push(server.cast(9));
    };
    server.cast(7);
    expect(await server.ended).toBe('inside');
    expect(accepted).toEqual([true, false, false, false]);
    expect(server.messages).toEqual([7, 8]);
  });

  test('every verb within terminate: refused, and nothing is left unsettled', async () => {
    const { server } = await testServer();
    server.on('refused', () => undefined);
    const results: unknown[] = [];
    server.hooks.terminate = async () => {
      results.push(server.cast(1), server.castBatch([1, 2]), server.info('x'));
      results.push(await server.call('x').catch((error: unknown) => error));
      results.push(await server.sendRequest('x').wait());
      void server.stop('again');
    };
    await server.stop('bye');
    expect(results).toEqual([
      false,
      false,
      false,
      expect.any(StoppedError),
      { kind: 'error', error: expect.any(StoppedError) as unknown },
    ]);
    expect(server.sys.statistics()).toMatchObject({ accepted: 0, refused: 6 }); // 1 + 2 + 1 + 1 + 1
    expect(await server.ended).toBe('bye');
  });

  test('suspends and replaces the state within handleBatch: both come after it', async () => {
    const { server } = await testServer();
    const done: Promise<unknown>[] = [];
    server.hooks.handleBatch = (ops, state) => {
      if (server.sizes.length === 1)
        done.push(
          server.sys.replaceState((now) => now * 10),
          server.sys.suspend(),
        );
      return server.answer(ops, state);
    };
    server.cast(2);
    await turns();
    server.cast(3);
    await turns();
    expect(await done[0]).toBe(20);
    expect([server.sizes, server.status]).toEqual([[1], 'suspended']);
    server.sys.resume();
    expect(await server.call('x')).toBe('x 23');
  });
});

describe('castBatch', () => {
  test('an iterable that throws casts nothing', async () => {
    const { server } = await testServer();
    const broken = function* (): Generator<number> {
      yield 1;
      explode();
    };
    expect(() => server.castBatch(broken())).toThrow(boom);
    expect(() => server.castBatch({ [Symbol.iterator]: explode } as never)).toThrow(boom);
    const list = [1, 2, 3];
    Object.defineProperty(list, 1, { get: explode });
    expect(() => server.castBatch(list)).toThrow(boom);
    server.cast(7);
    await turns();
    expect(server.messages).toEqual([7]);
    expect(server.sizes).toEqual([1]);
    expect(server.sys.statistics()).toMatchObject({ accepted: 1, handled: 1 });
  });

  test('of a million, with holes in it: one batch, which the caller may change meanwhile', async () => {
    const { server } = await testServer();
    let size = 0;
    const seen = new Set<unknown>();
    server.handleBatch = (ops: readonly TestOp[]) => {
      size += ops.length;
      for (const op of ops) if (op.kind === 'cast') seen.add(op.message);
    };
    const list = new Array<number>(1_000_000);
    list[5] = 5;
    expect(server.castBatch(list)).toBe(true);
    list.length = 0;
    await turns();
    expect([size, [...seen]]).toEqual([1_000_000, [undefined, 5]]);
    expect(server.sys.statistics()).toMatchObject({ batches: 1, handled: 1_000_000 });
  });

  test.each([null, undefined, 5, 'text', {}, { length: 1, 0: 'x' }])('%p is no list', async (wrong) => {
    const { server } = await testServer();
    expect(() => server.castBatch(wrong as never)).toThrow(OptionsError);
  });
});

describe('requests', () => {
  test('times: in the past, at once, in a year; one id waited for and received by many', async () => {
    const { server, clock } = await testServer();
    await clock.advance(1000);
    const id = server.sendRequest('later');
    await turns();
    expect(await id.wait({ at: 999 })).toEqual({ kind: 'timeout' });
    expect(await id.wait({ at: -1 })).toEqual({ kind: 'timeout' });
    const year = 365 * 24 * 3600 * 1000;
    const answers = [id.wait(), id.wait(), id.receive(), id.receive(2 ** 31 + 5), id.wait({ at: year })];
    server.kept[0]?.('yes');
    for (const answer of answers) expect(await answer).toEqual({ kind: 'reply', reply: 'yes' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('received twice: the second finds it given up', async () => {
    const { server, clock } = await testServer();
    const id = server.sendRequest('later');
    const [first, second] = [id.receive(10), id.receive(20)];
    await clock.advance(10);
    expect(await first).toEqual({ kind: 'timeout' });
    expect(await second).toEqual({ kind: 'timeout' });
    expect(await id.receive()).toEqual({ kind: 'timeout' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('given up while its collection has it: a wait does not hang', async () => {
    const { server } = await testServer();
    const collection = new RequestCollection<string, string>();
    const id = server.sendRequest('later');
    collection.add(id, 'a');
    expect(await id.receive(0)).toEqual({ kind: 'timeout' });
    expect(await collection.wait()).toEqual({ kind: 'noRequest' });
    expect(await collection.wait(0)).toEqual({ kind: 'timeout' });
    expect(() => collection.add(id, 'b')).toThrow(OptionsError);
    expect(collection.size).toBe(1);
  });

  test('a collection in more than one hand: a member leaves both', async () => {
    const { server } = await testServer();
    const id = server.sendRequest('x');
    const collection = new RequestCollection<string, string>().add(id, 'a');
    const both = [collection.wait(), collection.receive()];
    expect(await Promise.all(both)).toEqual([{ kind: 'reply', reply: 'x 0', label: 'a' }, { kind: 'noRequest' }]);
    expect(collection.add(id, 'again').size).toBe(1); // it had left
    expect(collection.check()).toEqual({ kind: 'reply', reply: 'x 0', label: 'again' });
  });

  test('wrong options of a collection', () => {
    const collection = new RequestCollection();
    expect(() => collection.wait(0, { remove: true } as never)).toThrow(OptionsError);
    expect(() => collection.check({ delete: 'no' } as never)).toThrow(OptionsError);
    expect(() => collection.receive(0, 5 as never)).toThrow(OptionsError);
  });
});

describe('listeners and names', () => {
  test('trace listeners that throw, reject, cast and end themselves harm nothing', async () => {
    const { server } = await testServer();
    const ends: (() => void)[] = [];
    let heard = 0;
    ends.push(
      server.sys.trace(explode),
      server.sys.trace(() => Promise.reject(boom) as never),
      server.sys.trace(() => {
        heard++;
        ends[2]?.();
        ends[2]?.();
      }),
      server.sys.trace((event) => event.type === 'batch' && server.sizes.length < 3 && server.cast(1)),
    );
    expect(await server.call('x')).toBe('x 0');
    await turns(5);
    expect([heard, server.sizes.length]).toEqual([1, 3]);
    expect(told).toHaveLength(1);
    for (const end of ends) end();
  });

  test('a state replaced by a throw, by nothing, by a promise', async () => {
    const { server } = await testServer();
    await expect(server.sys.replaceState(explode)).rejects.toBe(boom);
    expect(server.sys.getState()).toBe(0);
    expect(await server.sys.replaceState(() => undefined as never)).toBeUndefined();
    expect(server.sys.getState()).toBeUndefined();
    await server.stop();
    await expect(server.sys.replaceState(() => 1)).rejects.toBeInstanceOf(StoppedError);
  });

  test('two servers of one name do not know of each other', async () => {
    const [one, two] = [await testServer({}, { name: 'twin' }), await testServer({}, { name: 'twin' })];
    await one.server.stop();
    expect(await two.server.call('x')).toBe('x 0');
    expect([one.server.sys.statistics().name, two.server.sys.statistics().name]).toEqual(['twin', 'twin']);
  });

  test('disposed of twice, by hand and by await using', async () => {
    const { server } = await testServer();
    {
      await using same = server;
      same.cast(1);
      await same[Symbol.asyncDispose]();
    }
    await server[Symbol.asyncDispose]();
    expect(server.log).toEqual(['init', 'batch 1', 'terminate']);
    expect(server.terminated?.reason).toBe('shutdown');
  });

  test('listeners of stopped and refused that throw or stop harm nothing', async () => {
    const { server } = await testServer({}, { maxPending: 1 });
    server.on('stopped', explode);
    server.on('refused', explode);
    server.on('refused', () => void server.stop('from a listener'));
    server.cast(1);
    expect(server.cast(2)).toBe(false);
    expect(await server.ended).toBe('from a listener');
    expect(server.messages).toEqual([1]);
    expect(told).toHaveLength(2);
  });
});
