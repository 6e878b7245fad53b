import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { poison } from './children/common.js';
import { killAll, start } from './support/processes.js';
import { sleep, until } from './support/time.js';
import { describeWithServer, startServers } from './support/server.js';
import { Sink, tally } from './support/sink.js';

// Elections take seconds: real time.
describeWithServer('a cluster of three', () => {
  test.each(['the stream’s leader', 'the node of the clients'])('kill -9 of %s loses nothing', async (victim) => {
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
      for (const consumer of consumers) consumer.send('drain');
      await Promise.all(consumers.map(({ exited }) => exited));
    } finally {
      killAll();
      await connection.close();
      await servers.stop();
      sink.remove();
    }
  });
});
