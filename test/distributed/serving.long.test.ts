import { connect, type NatsConnection } from '@nats-io/transport-node';
import { BatchServing, OptionsError } from '../../src/index.js';
import {
  type Balance,
  HostLostError,
  JetStreamLog,
  NoHostError,
  RemoteServing,
  ServingHost,
} from '../../distributed/nats/index.js';
import { killAll, start, type Child } from './support/processes.js';
import { sleep, until } from './support/time.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';

jest.setTimeout(300_000);

/** Milliseconds in which a host that lives answers a probe, however busy the machine is. */
const probeTimeout = 60_000;

interface Load {
  /** The fault happens: calls that are open now are timed from here. Resolves when the last of them is answered. */
  fault(): Promise<number>;
  stop(): Promise<{ done: number; wrong: number; failed: unknown[] }>;
}

/** So many callers, each with one call after the other. */
function load(remote: RemoteServing<number, number>, callers = 1000): Load {
  let [stopped, done, wrong, open, at] = [false, 0, 0, 0, Infinity];
  let answered: (milliseconds: number) => void = () => undefined;
  const failed: unknown[] = [];
  const caller = async (k: number): Promise<void> => {
    for (let i = 0; !stopped; i++) {
      const value = k * 1e6 + i;
      const began = performance.now();
      try {
        if ((await remote.dispatch(value)) !== value * 2) wrong++;
        done++;
      } catch (error) {
        failed.push(error);
      }
      if (began < at && --open === 0) answered(performance.now() - at);
    }
  };
  const all = Promise.all(Array.from({ length: callers }, (_, k) => caller(k)));
  return {
    fault() {
      open = callers;
      at = performance.now();
      return new Promise((resolve) => {
        answered = (milliseconds) => {
          at = -Infinity;
          resolve(milliseconds);
        };
      });
    },
    async stop() {
      stopped = true;
      await all;
      return { done, wrong, failed };
    },
  };
}

// Processes and their deaths are the point: real time.
describeWithServer('servings on several machines', () => {
  let servers: Servers;
  let connection: NatsConnection;
  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  });
  afterAll(async () => {
    killAll();
    await connection.close();
    await servers.stop();
  });
  afterEach(killAll);

  const host = (name: string, id: string, env: Record<string, string | number> = {}): Promise<Child> =>
    start('host', [servers.urls.join(), name, id], env);
  const hosts = (name: string): Promise<Child[]> => Promise.all(['a', 'b', 'c'].map((id) => host(name, id)));
  const known = (remote: RemoteServing<number, number>, count: number): Promise<void> =>
    until('the hosts are known', () => remote.hosts.length === count);

  /**
   * Lets something happen to one host after the other, until the calls that were open then have been answered within the
   * bound, beside ten times what answers take when nothing happens: that is how busy the machine is. What else it does can
   * only add to it, so that once is proof.
   */
  const answeredWithin = async (
    bound: number,
    options: { name: string; balance?: Balance },
    happen: (host: Child) => void,
  ): Promise<void> => {
    const { name } = options;
    const children = await hosts(name);
    const remote = new RemoteServing<number, number>({ connection, batchSize: 64, ...options });
    await known(remote, 3);
    const running = load(remote);
    let usual = 0;
    for (let quiet = 0; quiet < 3; quiet++) usual = Math.max(usual, await running.fault());
    const limit = bound + 10 * usual;
    const times: number[] = [];
    for (let round = 0; round < 6 && !times.some((time) => time < limit); round++) {
      await sleep(300);
      const victim = children.shift();
      if (victim !== undefined) happen(victim);
      times.push(await running.fault());
      children.push(await host(name, `next${round}`));
    }
    const { wrong, failed } = await running.stop();
    expect({ wrong, failed }).toEqual({ wrong: 0, failed: [] });
    expect(Math.min(...times)).toBeLessThan(limit);
    await remote.close();
  };

  test.each(['pack', 'least', 'queue'] as const)(
    'kill -9 of a host fails no call, and those that it had are answered within 0.5 s, with balance %s',
    (balance) => answeredWithin(500, { name: `killed-${balance}`, balance }, (victim) => victim.kill()),
  );

  test('a frozen host fails no call, and those that it had are answered within 2 s', () =>
    answeredWithin(2000, { name: 'frozen' }, (victim) => victim.kill('SIGSTOP')));

  test('all hosts are replaced by draining: no call fails, and none is repeated', async () => {
    const name = 'drained';
    const children = await hosts(name);
    const remote = new RemoteServing<number, number>({ connection, name, batchSize: 64, probeTimeout });
    await known(remote, 3);
    const running = load(remote, 300);
    for (const [index, old] of children.entries()) {
      await host(name, `next${index}`);
      old.send('drain');
      await old.exited;
    }
    const { done, wrong, failed } = await running.stop();
    expect({ wrong, failed, lost: remote.network.hostsLost }).toEqual({ wrong: 0, failed: [], lost: 0 });
    expect(done).toBeGreaterThan(300);
    await remote.close();
  });

  describe('a serving that was closed by hand went on attracting calls, all of which failed', () => {
    test.each<[Balance, object]>([
      ['pack', {}],
      ['least', {}],
      ['queue', {}],
      ['pack', { hooks: ['progress'] }],
    ])('its host sends them to others, and leaves: %s, %j', async (balance, hooks) => {
      const name = `closed-${balance}${Object.keys(hooks).join()}`;
      const [own, other] = ['own', 'other'].map(
        () =>
          new BatchServing({
            ...hooks,
            batchTimeout: 1,
            handleBatch: (values: readonly number[]) => values.map((v) => v * 2),
          }),
      ) as [BatchServing<number, number>, BatchServing<number, number>];
      const host = new ServingHost({ connection, name, id: 'own', serving: own });
      await host.open();
      const options = { connection, name, balance, idempotent: false, probeTimeout, ...hooks };
      const remote = new RemoteServing<number, number>(options);
      await known(remote, 1);
      expect(await remote.dispatch(1)).toBe(2);
      const next = new ServingHost({ connection, name, id: 'other', serving: other });
      await next.open();
      await known(remote, 2);
      await own.close();
      const calls = Array.from({ length: 50 }, (_, i) => i);
      expect(await Promise.all(calls.map((i) => remote.dispatch(i)))).toEqual(calls.map((i) => i * 2));
      // By chance no call may have come to it yet.
      await until('it has left', async () => {
        await remote.dispatch(1);
        return remote.hosts.every(({ id, draining }) => id === 'other' || draining);
      });
      await Promise.all([host.close(), remote.close(), next.close()]);
    });
  });

  test('what is not idempotent is not repeated: its callers get HostLostError', async () => {
    const name = 'once';
    const only = await host(name, 'only', { FIX: 600_000 });
    const remote = new RemoteServing<number, number>({ connection, name, idempotent: false });
    await known(remote, 1);
    const calls = Promise.allSettled(Array.from({ length: 20 }, (_, n) => remote.dispatch(n)));
    await sleep(300);
    only.kill();
    const outcomes = await calls;
    for (const outcome of outcomes) expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(HostLostError);
    expect(remote.network.retries).toBe(0);
    await remote.close();
  });

  test('2,000 calls at once with room for 200 are all answered', async () => {
    const name = 'crowd';
    await Promise.all(['a', 'b'].map((id) => host(name, id, { MAX_PENDING: 100, FIX: 5 })));
    const remote = new RemoteServing<number, number>({ connection, name });
    await known(remote, 2);
    const answers = await Promise.all(Array.from({ length: 2000 }, (_, n) => remote.dispatch(n)));
    expect(answers).toEqual(Array.from({ length: 2000 }, (_, n) => n * 2));
    await remote.close();
  });

  test('1,000 calls at once share messages: four of at most 256 values', async () => {
    const name = 'shared';
    await host(name, 'a');
    const remote = new RemoteServing<number, number>({ connection, name });
    await known(remote, 1);
    await Promise.all(Array.from({ length: 1000 }, (_, n) => remote.dispatch(n)));
    expect(remote.network.messages).toBeLessThanOrEqual(4);
    await remote.close();
  });

  test('2,000 calls at once with a maxPending of 200 at the caller: 200 answered, 1,800 refused with a type', async () => {
    const name = 'bounded';
    await host(name, 'a');
    const remote = new RemoteServing<number, number>({ connection, name, maxPending: 200, overflow: 'reject' });
    await known(remote, 1);
    const outcomes = await Promise.allSettled(Array.from({ length: 2000 }, (_, n) => remote.dispatch(n)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(1800);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'ERR_BATCH_OVERFLOW' });
    await remote.close();
  });

  test('without a host calls fail with NoHostError', async () => {
    const remote = new RemoteServing<number, number>({ connection, name: 'nobody', maxAttempts: 2 });
    await expect(remote.dispatch(1)).rejects.toBeInstanceOf(NoHostError);
    await remote.close();
  });

  test('wrong options are errors that name them', () => {
    const made = (options: object): unknown => new RemoteServing({ connection, name: 'x', ...options });
    expect(() => made({ balance: 'fair' })).toThrow(expect.objectContaining({ option: 'balance' }) as Error);
    expect(() => made({ name: 'a.b' })).toThrow(OptionsError);
    expect(() => made({ batchSise: 1 })).toThrow(OptionsError);
    expect(() => made({ idempotent: 'no' })).toThrow(OptionsError);
    expect(() => made({ connection: {} })).toThrow(OptionsError);
    const serving = new BatchServing({ handleBatch: (values: readonly number[]) => values });
    const hosting = (options: object): unknown => new ServingHost({ connection, name: 'x', serving, ...options });
    expect(() => hosting({ serving: 5 })).toThrow(OptionsError);
    expect(() => hosting({ wait: 2 })).toThrow(OptionsError);
    expect(() => new JetStreamLog({ connection, name: 'x', partition: 2 } as never)).toThrow(OptionsError);
  });

  test('with its connection closed, calls under way and later ones fail at once instead of after many attempts', async () => {
    const own = await connect({ servers: servers.urls });
    const remote = new RemoteServing<number, number>({ connection: own, name: 'unplugged', maxAttempts: 1e6 });
    const calling = expect(remote.dispatch(1)).rejects.toMatchObject({ code: 'ERR_BATCH_CLOSED' });
    await own.close();
    await calling;
    await expect(remote.dispatch(2)).rejects.toMatchObject({ code: 'ERR_BATCH_CLOSED' });
    await remote.close();
  });

  describe('with a host in this process', () => {
    const withHost = async (
      name: string,
      serving: BatchServing<number, number, undefined, 'progress'> | BatchServing<number, number>,
      use: (hosting: ServingHost) => Promise<void>,
    ): Promise<void> => {
      const hosting = new ServingHost({ connection, name, serving });
      await hosting.open();
      try {
        await use(hosting);
      } finally {
        await hosting.close({ timeout: 1000 });
        await serving.close();
      }
    };

    test('an error in a slot is its caller’s alone, with its class, code and fields', async () => {
      const serving = new BatchServing<number, number>({
        batchSize: 4,
        handleBatch: (values) =>
          values.map((n) => (n === 13 ? Object.assign(new RangeError('unlucky'), { code: 'E13', n }) : n)),
      });
      await withHost('slots', serving, async () => {
        const remote = new RemoteServing<number, number>({ connection, name: 'slots' });
        const outcomes = await Promise.allSettled([1, 13, 2].map((n) => remote.dispatch(n)));
        expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
        const { reason } = outcomes[1] as { reason: unknown };
        expect(reason).toBeInstanceOf(RangeError);
        expect(reason).toMatchObject({ message: 'unlucky', code: 'E13', n: 13 });
        await remote.close();
      });
    });

    test('maps run at the caller', async () => {
      const serving = new BatchServing({ handleBatch: (values: readonly number[]) => values.map((n) => n * 2) });
      await withHost('maps', serving, async () => {
        const remote = new RemoteServing<string, string, never, number, number>({
          connection,
          name: 'maps',
          mapInputs: (values) => values.map((text) => text.length),
          mapResults: (results) => results.map((n) => `=${n}`),
        });
        expect(await remote.dispatchMany(['abc', 'de'])).toEqual(['=6', '=4']);
        await remote.close();
      });
    });

    test('a value that is no JSON fails alone', async () => {
      const serving = new BatchServing({ handleBatch: (values: readonly number[]) => values });
      await withHost('encoding', serving, async () => {
        const remote = new RemoteServing<unknown, unknown>({ connection, name: 'encoding' });
        const outcomes = await Promise.allSettled([1, 10n, 2].map((value) => remote.dispatch(value)));
        expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
        await remote.close();
      });
    });

    test('a value larger than a message fails alone, and values whose sum is too large go in parts', async () => {
      const serving = new BatchServing({
        batchSize: 64,
        handleBatch: (values: readonly number[]) => values.map(() => 1),
      });
      await withHost('large', serving, async () => {
        const remote = new RemoteServing<string, number>({ connection, name: 'large' });
        const values = [
          'small',
          'x'.repeat(3e6),
          'y'.repeat(800_000),
          ...Array.from({ length: 6 }, () => '\u20ac'.repeat(120_000)),
        ];
        const outcomes = await remote.settleMany(values);
        expect(outcomes.map(({ status }) => status[0]).join('')).toBe('frfffffff');
        expect(outcomes[1]).toMatchObject({ reason: { code: 'ERR_BATCH_TOO_LARGE' } });
        await remote.close();
      });
    });

    test('results that exceed a message come in parts', async () => {
      const serving = new BatchServing({ batchSize: 64, handleBatch: (values: readonly number[]) => values });
      await withHost('parts', serving, async () => {
        const remote = new RemoteServing<string, string>({ connection, name: 'parts' });
        const values = Array.from({ length: 40 }, (_, n) => String(n).repeat(50_000));
        expect(await remote.dispatchMany(values)).toEqual(values);
        await remote.close();
      });
    });

    test('a caller that leaves, and a deadline, end the work at the host', async () => {
      const ends: string[] = [];
      const serving = new BatchServing({
        handleBatch: (values: readonly number[], { signal }) =>
          new Promise<readonly number[]>((resolve) => {
            signal.addEventListener('abort', () => {
              ends.push(`${values[0] ?? ''}`);
              resolve(values);
            });
          }),
      });
      await withHost('leaving', serving, async (hosting) => {
        const remote = new RemoteServing<number, number>({ connection, name: 'leaving' });
        const abort = new AbortController();
        const left = remote.dispatch(1, { signal: abort.signal });
        await until('it runs', () => hosting.pending === 1);
        abort.abort(new Error('enough'));
        await expect(left).rejects.toThrow('enough');
        await until('the host has stopped', () => hosting.pending === 0);
        // So much that the host has begun by then.
        const late = remote.dispatch(2, { timeout: 2000 });
        await Promise.all([
          until('it runs again', () => hosting.pending === 1),
          expect(late).rejects.toMatchObject({ code: 'ERR_BATCH_TIMEOUT' }),
        ]);
        await until('the host has stopped again', () => hosting.pending === 0);
        await until('handlers were told', () => ends.length === 2);
        await remote.close();
      });
    });

    test('streams bring hooks’ events before their results, in order', async () => {
      const serving = new BatchServing({
        batchSize: 4,
        batchTimeout: 5,
        hooks: ['progress'] as const,
        handleBatch(values: readonly number[], { hooks }) {
          hooks.progress.each(values.map((n) => `value ${n}`));
          return values.map((n) => n * 2);
        },
      });
      await withHost('streams', serving, async () => {
        const remote = new RemoteServing<number, number, 'progress'>({
          connection,
          name: 'streams',
          hooks: ['progress'],
        });
        const events: unknown[] = [];
        for await (const event of remote.stream([1, 2])) events.push(event);
        expect(events).toEqual([
          { type: 'progress', payload: ['value 1'] },
          { type: 'batch', output: [2] },
          { type: 'progress', payload: ['value 2'] },
          { type: 'batch', output: [4] },
        ]);
        await remote.close();
      });
    });

    test('a stream left early releases its source, and a slow reader holds it up', async () => {
      const serving = new BatchServing({ batchSize: 8, handleBatch: (values: readonly number[]) => values });
      await withHost('early', serving, async () => {
        const remote = new RemoteServing<number, number>({ connection, name: 'early', batchSize: 8, partitions: 4 });
        let [pulled, released] = [0, false];
        async function* source(): AsyncGenerator<number> {
          try {
            for (;;) yield pulled++;
          } finally {
            released = true;
          }
        }
        let read = 0;
        for await (const event of remote.stream(source())) {
          read += event.output.length;
          await sleep(5);
          if (read > 40) break;
        }
        await until('the source is released', () => released);
        // Two batches a partition, and what was read.
        expect(pulled).toBeLessThan(read + 2 * 4 * 8 + 16);
        await remote.close();
      });
    });
  });
});
