import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Mode = 'well' | 'denied' | 'another model' | 'indexes' | 'away';

interface Asked {
  input: string[];
}

/** An embedding API, of 8 numbers to a text, that can be unwell in several ways. */
export class FakeEmbeddingApi {
  mode: Mode = 'well';
  /** Texts that it makes vectors of before `release`: whatever needs more is in the middle until then. */
  #room = Infinity;
  #released: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  /** From now on it answers requests while fewer texts than that were answered, and keeps the others waiting. */
  holdAfter(texts: number): void {
    this.#room = texts;
    this.#released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#room = Infinity;
    this.#release();
  }

  /** What the program has to be started with. */
  async open(): Promise<Record<string, string>> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    const { port } = this.#server.address() as AddressInfo;
    return { EMBEDDINGS_URL: `http://127.0.0.1:${port}/v1/embeddings`, EMBEDDINGS_MODEL: 'small' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += String(piece);
    if (this.mode === 'away') {
      response.destroy();
      return;
    }
    if (this.mode === 'denied') {
      refuse(response, 401, 'Incorrect API key provided.');
      return;
    }
    const { input } = JSON.parse(body) as Asked;
    if (this.#room <= 0) await this.#released;
    else this.#room -= input.length;
    if (input.some((text) => text.includes('FORBIDDEN'))) {
      refuse(response, 400, 'This text is not allowed.');
      return;
    }
    const length = this.mode === 'another model' ? 16 : 8;
    const data = input.map((text, i) => {
      // Too much for a number of half precision: the API has no objection, and Postgres has.
      const first = text.includes('POISON') ? 1e30 : text.length % 7;
      return { index: this.mode === 'indexes' ? 0 : i, embedding: [first, ...new Array<number>(length - 1).fill(1)] };
    });
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }));
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }));
}
