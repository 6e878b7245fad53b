import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { RemoteServing } from '../../distributed/nats/index.js';
import { poison } from './children/common.js';
import { killAll, start } from './support/processes.js';
import { sleep, until } from './support/time.js';
import { describeWithServer, startServers } from './support/server.js';
import { Sink, tally } from './support/sink.js';

// Elections take seconds: real time.
describeWithServer('a cluster of three', () => {
  test.each(['the stream’s leader', 'the node of the clients'])(
    'kill -9 of %s loses nothing, and poison is buried once',
    async (victim) => {
      const servers = await startServers(3);
      const sink = new Sink();
      const connection = await connect({ servers: servers.urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
      try {
        const env = { REPLICAS: 3, ACK_WAIT: 10_000 };
        const urls = servers.urls.join();
        const consumers = await Promise.all([1, 2].map(() => start('consumer', [urls, 'x', sink.file()], env)));
        const producer = await start('producer', [urls, 'x', 0, 40_000], env);
        await until('a quarter is stored', () => sink.stored().length > 10_000, 60_000);
        const manager = await jetstreamManager(connection);
        const leader = (await manager.streams.info('BP_x')).cluster?.leader;
        const node =
          victim === 'the stream’s leader' ? servers.nodes.find(({ name }) => name === leader) : servers.nodes[0];
        await node?.kill();
        await sleep(3000);
        await node?.start();
        await producer.exited;
        const healthy = (): boolean => tally(sink.stored(), 40_000, [poison]).lost === 0;
        await until('everything is stored', healthy, 120_000);
        const dead = async (): Promise<number> => (await manager.streams.info('BP_x_DLQ')).state.messages;
        await until('poison is buried', async () => (await dead().catch(() => 0)) === 1, 60_000);
        for (const consumer of consumers) consumer.send('drain');
        await Promise.all(consumers.map(({ exited }) => exited));
        expect(await dead()).toBe(1);
      } finally {
        killAll();
        await connection.close();
        await servers.stop();
        sink.remove();
      }
    },
  );

  test('kill -9 of the node of a caller and a host fails no call and gives no wrong answer', async () => {
    const servers = await startServers(3);
    const connection = await connect({ servers: servers.urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const remote = new RemoteServing<number, number>({ connection, name: 'x', batchSize: 64 });
    try {
      // Each prefers another node; the first host that of the caller.
      const urls = (first: number): string => [...servers.urls.slice(first), ...servers.urls.slice(0, first)].join();
      await Promise.all([0, 1, 2].map((n) => start('host', [urls(n), 'x', `h${n}`])));
      await until('the hosts are known', () => remote.hosts.length === 3);
      let [wrong, done, stopped] = [0, 0, false];
      const caller = async (k: number): Promise<void> => {
        for (let i = 0; !stopped; i++) {
          if ((await remote.dispatch(k * 1e6 + i)) !== (k * 1e6 + i) * 2) wrong++;
          done++;
        }
      };
      const callers = Promise.all(Array.from({ length: 1000 }, (_, k) => caller(k)));
      await until('calls are answered', () => done > 5000);
      await servers.nodes.find(({ port }) => `${port}` === connection.getServer().split(':').at(-1))?.kill();
      const before = done;
      await until('it goes on', () => done > before + 5000);
      stopped = true;
      await callers;
      expect(wrong).toBe(0);
    } finally {
      killAll();
      await remote.close({ timeout: 1000 }).catch(() => undefined);
      await connection.close();
      await servers.stop();
    }
  });
});
