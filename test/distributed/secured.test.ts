import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { BatchServing } from '../../src/index.js';
import { collect, outbox } from '../../distributed/index.js';
import { JetStreamLog, RemoteServing, ServingHost } from '../../distributed/nats/index.js';
import { describeWithServer, startServers } from './support/server.js';
import { until } from './support/time.js';

/** The server's configuration that the guide shows, without its address and store. */
function fromGuide(certificate: string, key: string): string {
  const page = readFileSync('docs/guide/several-machines.md', 'utf8');
  const block = /```text\n(listen:[^`]*)```/.exec(page)?.[1] ?? '';
  return block
    .split('\n')
    .filter((line) => !/^(listen|jetstream)/.test(line))
    .join('\n')
    .replace('/etc/nats/server.pem', certificate)
    .replace('/etc/nats/server.key', key);
}

describeWithServer('the server that the guide describes, with TLS and an account', () => {
  test('its permissions suffice for a log and a serving, and a wrong password is refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bp-tls-'));
    const [caFile, key] = ['server.pem', 'server.key'].map((name) => join(folder, name)) as [string, string];
    const made = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    execFileSync('openssl', [...made.split(' '), ...names, '-keyout', key, '-out', caFile], { stdio: 'ignore' });
    process.env['APP_PASSWORD'] = 'secret-of-the-test';
    const servers = await startServers(1, fromGuide(caFile, key));
    try {
      const options = { servers: servers.urls, tls: { caFile }, user: 'app' };
      await expect(connect({ ...options, pass: 'wrong' })).rejects.toThrow(/authorization/i);
      const connection = await connect({ ...options, pass: 'secret-of-the-test' });
      const log = new JetStreamLog<number>({ connection, name: 'chunks' });
      const out = outbox(log);
      await Promise.all([1, 2, 3].map((n) => out.deliverItem(n)));
      await out.close();
      const stored: number[] = [];
      const collecting = collect(log, {
        maxTimeSinceFirstItem: 10,
        maxDeliveries: 2,
        batchFlush({ items }) {
          if (items.includes(2)) throw new Error('a bad row');
          stored.push(...items);
        },
      });
      collecting.batcher.on('failed', () => undefined);
      await until('poison is buried', () => collecting.counts.buried === 1);
      expect(stored.sort()).toEqual([1, 3]);
      expect(await log.redrive()).toBe(1);
      await collecting.close();
      const serving = new BatchServing({ handleBatch: (values: readonly number[]) => values.map((n) => n * 2) });
      const host = new ServingHost({ connection, name: 'embedding', serving });
      await host.open();
      const remote = new RemoteServing<number, number>({ connection, name: 'embedding' });
      expect(await remote.dispatchMany([1, 2])).toEqual([2, 4]);
      await remote.close();
      await host.close();
      await connection.close();
    } finally {
      await servers.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
