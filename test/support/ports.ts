import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that Linux gives to connections, and to servers that ask for any port. */
const [FIRST, LAST] = [10_000, 32_000] as const;

/**
 * A port to listen on, now and again later: one that the system had chosen could be given to a connection meanwhile, and
 * a client that tries it again and again while no server listens can even get it for itself.
 */
export async function portToKeep(): Promise<number> {
  for (;;) {
    // By chance, so that two test files at the same time do not find the same.
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = createServer();
    const isFree = new Promise<boolean>((resolve) => {
      server.once('listening', () => resolve(true)).once('error', () => resolve(false));
    });
    server.listen(port, '127.0.0.1');
    if (!(await isFree)) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
