import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { RemoteServing } from '../../distributed/nats/index.js';
import { poison } from './children/common.js';
import { killAll, start } from './support/processes.js';
import { Proxy } from './support/proxy.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';
import { Sink, tally } from './support/sink.js';
import { sleep, until } from './support/time.js';

jest.setTimeout(300_000);

/** Milliseconds for which a host is cut off: longer than any machine takes to do without. */
const STALL = 60_000;

// Processes on both sides of a bad network: real time.
describeWithServer('a network that stalls, delays and cuts, while nobody dies', () => {
  let servers: Servers;
  let connection: NatsConnection;
  const proxies: Proxy[] = [];
  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls });
  });
  afterEach(() => {
    killAll();
    for (const proxy of proxies.splice(0)) proxy.close();
  });
  afterAll(async () => {
    await connection.close();
    await servers.stop();
  });
  const proxied = async (seed: number, delay: number): Promise<Proxy> => {
    const proxy = await Proxy.start(servers.nodes[0]?.port ?? 0, { seed, delay });
    proxies.push(proxy);
    return proxy;
  };

  test.each([1])('nothing is lost, duplicates are what was in flight, poison is buried once: seed %i', async (seed) => {
    const name = `net${seed}`;
    const count = 6000;
    const sink = new Sink();
    const manager = await jetstreamManager(connection);
    const [near, far, out] = await Promise.all([0, 1, 2].map((n) => proxied(seed * 10 + n, 10)));
    if (near === undefined || far === undefined || out === undefined) throw new Error('no proxy');
    const env = { ACK_WAIT: 1000, SINK_MS: 20, BATCH: 200, PREFETCH: 4 };
    const consumers = await Promise.all(
      [near, far].map((proxy) => start('consumer', [proxy.url, name, sink.file()], env)),
    );
    const producer = await start('producer', [out.url, name, 0, count], { PACE: 200 });
    for (const proxy of proxies) proxy.trouble({ every: 400, longest: 1500 });
    // Also where the producer is done before anything happens by chance.
    near.cut();
    far.stall(1500);
    await producer.exited;
    for (const proxy of proxies) proxy.heal();
    const settled = async (): Promise<boolean> => {
      const { num_pending, num_ack_pending } = await manager.consumers.info(`BP_${name}`, 'collect');
      return num_pending === 0 && num_ack_pending === 0;
    };
    await until('everything is acknowledged', settled);
    for (const consumer of consumers) consumer.send('drain');
    await Promise.all(consumers.map(({ exited }) => exited));
    const { lost, duplicates } = tally(sink.stored(), count, [poison]);
    const buried = (await manager.streams.info(`BP_${name}_DLQ`)).state.messages;
    expect({ lost, buried, produced: producer.said.get('done') }).toEqual({ lost: 0, buried: 1, produced: true });
    const troubles = [near, far].reduce((sum, { counts }) => sum + counts.stalls + counts.cuts, 0);
    // A consumer holds at most three batches and what it has fetched ahead; each trouble may cost that once more.
    expect(duplicates).toBeLessThanOrEqual(troubles * (3 * 200 + 5 * 100));
    sink.remove();
  });

  test('a caller behind it fails no call and gets no wrong answer; a host behind it is done without within 2 s', async () => {
    const name = 'netserving';
    const [mine, its] = [await proxied(5, 5), await proxied(6, 5)];
    const mineConnection = await connect({ servers: mine.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    await start('host', [servers.urls.join(), name, 'near'], { FIX: 5 });
    await start('host', [its.url, name, 'far'], { FIX: 5 });
    const remote = new RemoteServing<number, number>({ connection: mineConnection, name });
    await until('the hosts are known', () => remote.hosts.length === 2);
    mine.trouble({ every: 400, longest: 300 });
    its.trouble({ every: 400, longest: 300 });
    const end = performance.now() + 3000;
    let wrong = 0;
    const caller = async (k: number): Promise<void> => {
      for (let i = 0; performance.now() < end; i++)
        if ((await remote.dispatch(k * 1e6 + i)) !== (k * 1e6 + i) * 2) wrong++;
    };
    await Promise.all(Array.from({ length: 200 }, (_, k) => caller(k)));
    expect(wrong).toBe(0);
    for (const proxy of [mine, its]) proxy.heal();
    await sleep(100);
    const asked = Array.from({ length: 200 }, (_, n) => n);
    const ask = async (): Promise<number> => {
      const began = performance.now();
      const answers = await Promise.all(asked.map((n) => remote.dispatch(n)));
      expect(answers).toEqual(asked.map((n) => n * 2));
      return performance.now() - began;
    };
    // Beside ten times what it takes when nothing happens: that is how busy the machine is.
    const limit = Math.min(STALL / 2, 2000 + 10 * Math.max(await ask(), await ask()));
    const times: number[] = [];
    for (let round = 0; round < 4 && !times.some((time) => time < limit); round++) {
      its.stall(STALL);
      times.push(await ask());
      its.heal();
      await until('both are known again', () => remote.hosts.length === 2);
    }
    expect(Math.min(...times)).toBeLessThan(limit);
    await remote.close();
    await mineConnection.close();
  });
});
