import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { JetStreamLog } from '../../distributed/nats/index.js';
import { outbox } from '../../distributed/index.js';
import { itemOf, poison, type Item } from './children/common.js';
import { killAll, start, type Child } from './support/processes.js';
import { sleep, until } from './support/time.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';
import { Sink, tally } from './support/sink.js';

jest.setTimeout(300_000);

/** Milliseconds of a lease that does not end by itself where the machine stands still for a while. */
const LONG_LEASE = 30_000;
/** What a consumer holds: its batcher's bound and what it had fetched ahead. */
const HELD = 1500 + 17 * 100;

// Processes, their deaths and the server's leases are the point: real time.
describeWithServer('collecting on several machines', () => {
  const count = 40_000;
  let servers: Servers;
  let connection: NatsConnection;
  let manager: JetStreamManager;
  let sink: Sink;

  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    manager = await jetstreamManager(connection);
  });
  afterAll(async () => {
    killAll();
    await connection.close();
    await servers.stop();
  });
  beforeEach(() => {
    sink = new Sink();
  });
  afterEach(() => {
    killAll();
    sink.remove();
  });

  const consumer = (name: string, env: Record<string, string | number> = {}): Promise<Child> =>
    start('consumer', [servers.urls.join(), name, sink.file()], env);
  const publish = async (name: string, items: Iterable<Item>): Promise<void> => {
    const out = outbox(new JetStreamLog<Item>({ connection, name }), { maxBatchSize: 100 });
    for (const item of items) out.addItem(item);
    await out.close();
  };
  const numbers = (to: number): Item[] => Array.from({ length: to }, (_, n) => itemOf(n));
  const settled = (name: string): Promise<void> =>
    until('everything is acknowledged', async () => {
      const { num_pending, num_ack_pending } = await manager.consumers.info(`BP_${name}`, 'collect');
      return num_pending === 0 && num_ack_pending === 0;
    });
  const buried = async (name: string): Promise<number> => (await manager.streams.info(`BP_${name}_DLQ`)).state.messages;
  const drain = async (...children: Child[]): Promise<void> => {
    for (const child of children) child.send('drain');
    await Promise.all(children.map(({ exited }) => exited));
  };

  test('kill -9 of a consumer in the middle of a flush loses nothing; poison is buried once', async () => {
    const name = 'killed';
    const env = { ACK_WAIT: 6000 };
    const consumers = await Promise.all([consumer(name, env), consumer(name, env)]);
    await publish(name, numbers(count));
    await until('a quarter is stored', () => sink.stored().length > count / 4);
    consumers[0].kill();
    await settled(name);
    const { lost, duplicates } = tally(sink.stored(), count, [poison]);
    expect({ lost, buried: await buried(name) }).toEqual({ lost: 0, buried: 1 });
    expect(duplicates).toBeLessThanOrEqual(HELD);
    await drain(consumers[1]);
  });

  test('rolling restarts by close under load lose nothing and store nothing twice', async () => {
    const name = 'rolling';
    const env = { ACK_WAIT: LONG_LEASE };
    let running = [await consumer(name, env), await consumer(name, env)];
    const published = publish(
      name,
      numbers(count).filter(({ n }) => n !== poison),
    );
    for (let round = 0; round < 3; round++) {
      const next = await consumer(name, env);
      const [oldest, ...rest] = running;
      running = [...rest, next];
      if (oldest) await drain(oldest);
    }
    await published;
    await settled(name);
    await drain(...running);
    expect(tally(sink.stored(), count, [poison])).toEqual({ lost: 0, duplicates: 0 });
    expect(await buried(name)).toBe(0);
  });

  test('a sink that is down for 8 s, while items trickle in, loses nothing and buries nothing', async () => {
    const name = 'outage';
    const env = { DOWN: sink.downFile, ACK_WAIT: 5000 };
    const consumers = await Promise.all([1, 2].map(() => consumer(name, env)));
    const log = new JetStreamLog<Item>({ connection, name });
    await publish(
      name,
      numbers(500).map(({ n }) => ({ n })),
    );
    await until('it works', () => sink.stored().length === 500);
    sink.goDown();
    for (let n = 500; n < 540; n++) {
      await log.append([{ n }], `trickle${n}`);
      await sleep(200);
    }
    sink.comeUp();
    await settled(name);
    expect(tally(sink.stored(), 540)).toEqual({ lost: 0, duplicates: 0 });
    expect(await buried(name)).toBe(0);
    await drain(...consumers);
  });

  test('kill -9 of a producer with an outbox on disk, and its restart, lose nothing and store nothing twice', async () => {
    const name = 'spool';
    const to = 10_000;
    const folder = sink.folder('outbox');
    const reader = await consumer(name, { ACK_WAIT: LONG_LEASE });
    const args = (from: number): (string | number)[] => [servers.urls.join(), name, from, to, folder];
    const first = await start('producer', args(0), { PACE: 5 });
    await until('half is acknowledged', () => Number(first.said.get('acknowledged') ?? 0) >= to / 2);
    first.kill();
    await first.exited;
    const next = await start('producer', args(Number(first.said.get('acknowledged'))));
    await next.exited;
    expect(next.said.get('done')).toBe(true);
    await settled(name);
    await drain(reader);
    const stored = sink.stored();
    expect(tally(stored, to, [poison]).lost).toBe(0);
    // What the first life had accepted and not yet said so is added again by the second; nothing else is stored twice.
    const again = stored.filter((n, index) => stored.indexOf(n) !== index);
    const said = Number(first.said.get('acknowledged'));
    expect(again.filter((n) => n < said || n >= said + 200)).toEqual([]);
    expect(await buried(name)).toBe(1);
  });

  test('a consumer frozen beyond its lease and continued loses nothing', async () => {
    const name = 'frozen';
    const consumers = await Promise.all([1, 2].map(() => consumer(name, { SINK_MS: 30, ACK_WAIT: 3000 })));
    const published = publish(
      name,
      numbers(count).filter(({ n }) => n !== poison),
    );
    await until('it runs', () => sink.stored().length > 1000);
    consumers[0]?.kill('SIGSTOP');
    await sleep(6000);
    consumers[0]?.kill('SIGCONT');
    await published;
    await settled(name);
    await drain(...consumers);
    const { lost, duplicates } = tally(sink.stored(), count, [poison]);
    expect(lost).toBe(0);
    expect(duplicates).toBeLessThanOrEqual(HELD);
    expect(await buried(name)).toBe(0);
  });
});
