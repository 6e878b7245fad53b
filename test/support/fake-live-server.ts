import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { Events, Hit, Info } from '../../examples/document-indexing/protocol.js';
import { root } from './project.js';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

const info: Info = {
  progress: 'summary',
  user: 'ann',
  embedding: { name: 'none', dimensions: 1, costPerMillionTokens: 1 },
  database: { kind: 'embedded', available: true },
  roots: ['/documents'],
  limits: { uploadBytes: 1, documentBytes: 1, files: 1 },
  call: { milliseconds: 50, measured: false },
};

/** Serves the page, and sends it the events that the test makes up. */
export class FakeLiveServer {
  readonly #server = createServer((request, response) => {
    void this.#answer(new URL(request.url ?? '/', 'http://page').pathname, response);
  });
  readonly #streams = new Set<ServerResponse>();
  /** What every search finds. */
  hits: Hit[] = [];
  searches = 0;

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Resolves when there is room for more. */
  async send<N extends keyof Events>(name: N, data: Events[N]): Promise<void> {
    for (const stream of this.#streams) {
      if (!stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)) await once(stream, 'drain');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/api/info') return void response.end(JSON.stringify(info));
    if (path === '/api/search') {
      this.searches += 1;
      return void response.end(this.hits.map((hit) => `${JSON.stringify(hit)}\n`).join(''));
    }
    if (path === '/api/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      this.#streams.add(response);
      response.once('close', () => this.#streams.delete(response));
      return this.send('jobs', []);
    }
    const file = path === '/' ? '/page/index.html' : path;
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'image/svg+xml' });
    response.end(await readFile(join(root, 'examples', 'document-indexing', file)));
  }
}
