import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { BatchPlease, OptionsError } from '../../src/index.js';
import { collect, Feed, outbox, type CollectOptions } from '../../distributed/index.js';
import { JetStreamLog, type JetStreamLogOptions } from '../../distributed/nats/index.js';
import { sleep, until } from './support/time.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';

// A server of its own: its leases and answers come in real time.
describeWithServer('a log on JetStream', () => {
  let servers: Servers;
  let connection: NatsConnection;
  let manager: JetStreamManager;
  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls });
    manager = await jetstreamManager(connection);
  });
  afterAll(async () => {
    await connection.close();
    await servers.stop();
  });

  const logOf = <Item>(name: string, options: Partial<JetStreamLogOptions> = {}): JetStreamLog<Item> =>
    new JetStreamLog<Item>({ connection, name, ...options });
  const settled = (name: string): Promise<void> =>
    until('everything is acknowledged', async () => {
      // Until a consumer has begun to read there is none.
      const info = await manager.consumers.info(`BP_${name}`, 'collect').catch(() => undefined);
      return info?.num_pending === 0 && info.num_ack_pending === 0;
    });
  const dead = async (name: string): Promise<number> => (await manager.streams.info(`BP_${name}_DLQ`)).state.messages;
  const storing = <Item>(
    log: JetStreamLog<Item>,
    fails: (item: Item) => boolean = () => false,
    options: Partial<CollectOptions<Item>> = {},
  ): { stored: Item[]; collecting: ReturnType<typeof collect<Item>> } => {
    const stored: Item[] = [];
    const collecting = collect<Item>(log, {
      maxTimeSinceFirstItem: 10,
      maxDeliveries: 2,
      batchFlush({ items }) {
        if (items.some(fails)) throw new Error('a bad row');
        stored.push(...items);
      },
      ...options,
    });
    collecting.batcher.on('failed', () => undefined);
    return { stored, collecting };
  };

  test('a flush longer than the lease happens once: leases are extended', async () => {
    const log = logOf<number>('lease', { ackWait: 2000 });
    await log.append([1, 2, 3], 'frame');
    let flushes = 0;
    const { collecting } = storing(log, undefined, {
      async batchFlush() {
        flushes++;
        await sleep(5000);
      },
    });
    await until('it is acknowledged', () => collecting.counts.acked === 1);
    expect(flushes).toBe(1);
    await collecting.close();
  });

  test('a frame that waits behind a slow sink is not delivered twice', async () => {
    const log = logOf<number>('ahead', { ackWait: 1500 });
    for (let n = 0; n < 30; n++) await log.append([n], `frame${n}`);
    const stored: number[] = [];
    const { collecting } = storing(log, undefined, {
      maxItems: 1,
      maxBatchSize: 1,
      prefetch: 30,
      async batchFlush({ items }) {
        await sleep(150);
        stored.push(...items);
      },
    });
    await settled('ahead');
    expect(stored.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
    await collecting.close();
  });

  test('with a full stream the producer stops at maxPending and resumes; nothing accepted is lost', async () => {
    const log = logOf<string>('full', { maxBytes: 50_000 });
    const item = (n: number): string => `${n}:${'x'.repeat(200)}`;
    const out = outbox(log, { maxBatchSize: 10, maxPending: 100, retry: { minDelay: 20, maxDelay: 100 } });
    let failures = 0;
    out.on('failed', () => failures++);
    let accepted = 0;
    const producing = (async () => {
      for (let n = 0; n < 2000; n++) {
        await out.syncAddItem(item(n));
        accepted++;
      }
    })();
    await until('the stream is full, and the producer with it', () => failures > 0 && out.state.pending === 100);
    // Batches that the stream still took make room for a few more: until a whole second brings none.
    let whileFull = -1;
    while (whileFull !== accepted) {
      whileFull = accepted;
      await sleep(1000);
    }
    expect(whileFull).toBeLessThan(1000);
    const { stored, collecting } = storing(log);
    await producing;
    await out.close();
    await settled('full');
    expect(new Set(stored).size).toBe(2000);
    expect(stored).toHaveLength(2000);
    await collecting.close();
  });

  test('a bad line in a frame is one dead letter, and its neighbours are delivered', async () => {
    const log = logOf<number>('line');
    await log.open();
    await jetstream(connection).publish('bp.line.0', '1\n{"broken\n3', { msgID: 'hand-made' });
    const { stored, collecting } = storing(log);
    await until('it is acknowledged', () => collecting.counts.acked === 1);
    expect(stored).toEqual([1, 3]);
    expect(collecting.counts.buried).toBe(1);
    expect((await manager.streams.getMessage('BP_line_DLQ', { seq: 1 }))?.string()).toBe('{"broken');
    await collecting.close();
  });

  test('an item larger than a message, and one that is no JSON, fail alone and with a type', async () => {
    const log = logOf<unknown>('large');
    const out = outbox(log);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const outcomes = await Promise.allSettled(
      ['small', 'x'.repeat(2_000_000), cycle, 'other'].map((item) => out.deliverItem(item)),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ cause: { code: 'ERR_BATCH_TOO_LARGE' } });
    expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({ cause: { code: 'ERR_BATCH_ITEM' } });
    await out.close();
  });

  test.each<[option: string, Partial<JetStreamLogOptions>]>([
    ['maxBytes', { maxBytes: 2_000_000 }],
    ['duplicateWindow', { duplicateWindow: 1000 }],
    ['partitions', { partitions: 4 }],
    ['replicas', { replicas: 3 }],
  ])('a stream that exists with another %s is an error that names it', async (option, differing) => {
    await logOf('made', { maxBytes: 1_000_000 }).open();
    const error: unknown = await logOf('made', differing)
      .open()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option });
    await expect(logOf('made').open()).resolves.toBeUndefined();
  });

  test('a consumer that exists with another ackWait is an error that names it', async () => {
    const { collecting } = storing(logOf('leased', { ackWait: 1000 }));
    await until('the consumer is there', async () => {
      return (await manager.consumers.info('BP_leased', 'collect').catch(() => undefined)) !== undefined;
    });
    await expect(logOf('leased', { ackWait: 2000 }).open()).rejects.toMatchObject({ option: 'ackWait' });
    await collecting.close();
  });

  test('a publish sent twice is stored once, and says so', async () => {
    const log = logOf<number>('twice');
    expect(await log.append([1], 'same')).toEqual({ duplicate: false });
    expect(await log.append([1], 'same')).toEqual({ duplicate: true });
    const { stored, collecting } = storing(log);
    await settled('twice');
    await until('it is stored', () => stored.length > 0);
    expect(stored).toEqual([1]);
    await collecting.close();
  });

  test('redrive ends, with poison among the dead letters; what was cured is delivered', async () => {
    const log = logOf<number>('redriven');
    let cured = false;
    const { stored, collecting } = storing(log, (n) => n === 13 || (n === 7 && !cured));
    for (let frame = 0; frame < 4; frame++) {
      await log.append(
        Array.from({ length: 10 }, (_, n) => frame * 10 + n),
        `frame${frame}`,
      );
    }
    await until('both are dead', async () => (await dead('redriven')) === 2);
    cured = true;
    expect(await log.redrive()).toBe(2);
    await until('the cured one is delivered', () => stored.includes(7));
    await until('poison is dead again', async () => (await dead('redriven')) === 1);
    expect([...stored].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n).filter((n) => n !== 13));
    await collecting.close();
  });

  test('any collector can be fed; an item that it refuses is buried', async () => {
    class Summer extends BatchPlease<number, { sum: number }> {
      total = 0;
      override batchInit(): { sum: number } {
        return { sum: 0 };
      }
      override batchAddItem(batch: { sum: number }, item: number): void {
        if (item === 50) throw new Error('not fifty');
        batch.sum += item;
      }
      override batchFlush({ sum }: { sum: number }): void {
        this.total += sum;
      }
    }
    const log = logOf<number>('sums');
    await log.append(
      Array.from({ length: 100 }, (_, n) => n + 1),
      'frame',
    );
    const summer = new Summer({ maxBatchSize: 30, maxTimeSinceFirstItem: 20 });
    summer.on('refused', () => undefined);
    const feed = new Feed(log.source(), summer);
    await until('it is acknowledged', () => feed.counts.acked === 1);
    expect({ total: summer.total, buried: feed.counts.buried }).toEqual({ total: 5050 - 50, buried: 1 });
    await feed.close();
    await summer.close();
  });

  test('a partition is read in order, one frame at a time', async () => {
    const log = logOf<number>('ordered', { partitions: 2 });
    for (let n = 0; n < 40; n++) await log.append([n], `frame${n}`, { partition: n % 2 });
    const readers = [0, 1].map((partition) => storing(log, undefined, { partition, maxBatchSize: 1 }));
    await until('all is stored', () => readers.every(({ stored }) => stored.length === 20));
    for (const [partition, { stored, collecting }] of readers.entries()) {
      expect(stored).toEqual(Array.from({ length: 20 }, (_, n) => n * 2 + partition));
      await collecting.close();
    }
  });

  test('a dead letter of partition 1 is redriven to partition 1, whose reader keeps its order', async () => {
    const log = logOf<number>('its', { partitions: 2 });
    let cured = false;
    const fails = (n: number): boolean => n === 13 && !cured;
    const readers = [0, 1].map((partition) => storing(log, fails, { partition, backoff: () => 20 }));
    await log.append([13, 1], 'first', { partition: 1 });
    await log.append([2], 'second', { partition: 1 });
    await until('it is dead', async () => (await dead('its')) === 1);
    cured = true;
    expect(await log.redrive()).toBe(1);
    await until('it is delivered', () => readers.some(({ stored }) => stored.includes(13)));
    expect(readers.map(({ stored }) => stored)).toEqual([[], [1, 2, 13]]);
    for (const { collecting } of readers) await collecting.close();
  });

  test('closing while the sink is down gives everything back at once', async () => {
    const log = logOf<number>('back');
    await log.append([1, 2, 3], 'frame');
    const { collecting } = storing(log, () => true, { retry: { minDelay: 60_000, maxDelay: 60_000 } });
    await until(
      'it has failed',
      () => collecting.batcher.state.counts.totalItems === 3 && collecting.counts.deliveries === 1,
    );
    await sleep(50);
    const started = performance.now();
    expect(await collecting.close({ timeout: 500 })).toEqual({ givenBack: 1 });
    // The lease is one of half a minute, and the next attempt comes after a whole one.
    expect(performance.now() - started).toBeLessThan(20_000);
    const { stored, collecting: next } = storing(log);
    await until('another delivers it', () => stored.length === 3, 20_000);
    await next.close();
  });
});
