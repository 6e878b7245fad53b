import { connect, type NatsConnection } from '@nats-io/transport-node';
import { RemoteServing } from '../../distributed/nats/index.js';
import { killAll, start } from './support/processes.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';
import { sleep, until } from './support/time.js';

jest.setTimeout(300_000);

/** Milliseconds in which a host that lives answers a probe, however busy the machine is. A dead one is noticed by its connection. */
const probeTimeout = 60_000;

// Processes and their deaths are the point: real time.
describeWithServer('streams with hooks on several machines', () => {
  let servers: Servers;
  let connection: NatsConnection;
  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls });
  });
  afterEach(killAll);
  afterAll(async () => {
    await connection.close();
    await servers.stop();
  });

  test('kill -9 of a host under 20 streams of 200 values: all results come, in order, none twice', async () => {
    const name = 'streams';
    const hosts = await Promise.all(
      ['a', 'b', 'c'].map((id) => start('host', [servers.urls.join(), name, id], { HOOKS: 1, FIX: 20 })),
    );
    const options = { connection, name, hooks: ['progress'] as const, probeTimeout };
    const remote = new RemoteServing<number, number, 'progress'>(options);
    await until('the hosts are known', () => remote.hosts.length === 3);
    let results = 0;
    let killed = (): void => undefined;
    const kill = new Promise<void>((resolve) => {
      killed = resolve;
    });
    const read = async (stream: number): Promise<number> => {
      const values = Array.from({ length: 200 }, (_, n) => stream * 1000 + n);
      // However late the kill comes, there is work left for the host that is dead then.
      const source = async function* (): AsyncGenerator<number> {
        yield* values.slice(0, 100);
        await kill;
        yield* values.slice(100);
      };
      const outputs: number[] = [];
      let events = 0;
      for await (const event of remote.stream(source())) {
        if (event.type === 'progress') events++;
        else {
          outputs.push(...event.output);
          results += event.output.length;
        }
      }
      expect(outputs).toEqual(values.map((value) => value * 2));
      return events;
    };
    const streams = Promise.all(Array.from({ length: 20 }, (_, stream) => read(stream)));
    await until('a quarter has come', () => results > 1000);
    hosts[0]?.kill();
    killed();
    // A value that is executed again may send its event again.
    for (const events of await streams) expect(events).toBeGreaterThanOrEqual(200);
    expect(remote.network.hostsLost).toBe(1);
    await remote.close();
  });

  test('a frozen host and what is not idempotent: its callers get HostLostError, those of the others their results', async () => {
    const name = 'onlyonce';
    // That of `a` would take longer than the test.
    const [frozen] = await Promise.all(
      ['a', 'b'].map((id) => start('host', [servers.urls.join(), name, id], { FIX: id === 'a' ? 600_000 : 3000 })),
    );
    const options = { connection, name, idempotent: false, batchSize: 10, probeTimeout: 5000 };
    const remote = new RemoteServing<number, number>(options);
    await until('the hosts are known', () => remote.hosts.length === 2);
    const calls = Promise.allSettled(Array.from({ length: 20 }, (_, n) => remote.dispatch(n)));
    await until('a has ten', () => remote.hosts.some(({ id, pending }) => id === 'a' && pending === 10));
    await sleep(200);
    frozen?.kill('SIGSTOP');
    const outcomes = await calls;
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    expect(reasons).toHaveLength(10);
    for (const reason of reasons) expect(reason).toMatchObject({ code: 'ERR_BATCH_HOST_LOST', host: 'a' });
    expect(remote.network.retries).toBe(0);
    await remote.close();
  });
});
