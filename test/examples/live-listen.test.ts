import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { listenOn } from '../../examples/document-indexing/live/listen.js';
import { addressesFor } from '../../examples/document-indexing/live/open-browser.js';

test('every start had another port, and bookmarks died: it is the same one, or the next that is free', async () => {
  const other = createServer();
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const server = Fastify();
  const address = await listenOn(server, '127.0.0.1', { number: port, exact: false });
  const found = Number(new URL(address).port);
  expect(found).toBeGreaterThan(port);
  expect(found).toBeLessThan(port + 20);
  await server.close();

  // A port that was named is that one or none.
  const second = Fastify();
  await expect(listenOn(second, '127.0.0.1', { number: port, exact: true })).rejects.toThrow(
    `cannot listen on port ${port} of 127.0.0.1: another process has it; --port 0`,
  );
  await second.close();
  const third = Fastify();
  await expect(listenOn(third, '999.9.9.9', { number: port, exact: true })).rejects.toThrow(
    '--host must be an address',
  );
  await third.close();
  other.close();
});

test('a server for all addresses names those that another machine can use', () => {
  const addresses = addressesFor('http://127.0.0.1:4747');
  for (const address of addresses) {
    expect(address).toMatch(/^http:\/\/.+:4747$/);
    expect(address).not.toContain('127.0.0.1');
  }
});
