import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BatchLog } from '../../examples/document-indexing/live/batch-log.js';
import { embeddingApi, waitAskedFor } from '../../examples/document-indexing/live/embedding-api.js';
import { openEmbedding } from '../../examples/document-indexing/live/embedding.js';
import type { Chunk, Embedder } from '../../examples/document-indexing/live/embedder.js';
import { DIMENSIONS, embed, literalOf, wordsOf } from '../../examples/document-indexing/live/hashed-embedding.js';
import { newJob, JobProgress } from '../../examples/document-indexing/live/job-progress.js';
import { shareOf } from '../../examples/document-indexing/live/progress-hook.js';
import type { Batch, Job, ProgressWay } from '../../examples/document-indexing/protocol.js';

const cosine = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
const near = (a: string, b: string): number => cosine(embed(a), embed(b));

describe('the hashed embedding', () => {
  test('is of length 1, the same every time, and 0 for a text without words', () => {
    const vector = embed('The quagga sleeps behind the barn.');
    expect(vector).toHaveLength(DIMENSIONS);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 10);
    expect(embed('The quagga sleeps behind the barn.')).toEqual(vector);
    expect(Math.hypot(...embed('… — !?'))).toBe(0);
  });

  test('minds neither case nor signs, and does mind the order of words', () => {
    expect(near('Connection-Pool!', 'connection pool')).toBeCloseTo(1, 10);
    expect(near('ﬁle', 'file')).toBeCloseTo(1, 10);
    expect(near('pool of connections', 'connections of pool')).toBeLessThan(0.99);
  });

  test('puts texts with the same words, stems and misspellings near each other', () => {
    const question = 'retry after a failed connection';
    expect(near(question, 'A connection that failed is retried after a while')).toBeGreaterThan(0.4);
    expect(near(question, 'Colours of the rainbow are many')).toBeLessThan(0.15);
    expect(near('databse conection', 'database connection')).toBeGreaterThan(0.25);
  });

  test('counts a word less than in proportion: 1 + ln 4 = 2.4 instead of 4', () => {
    const others = embed('red green blue');
    const once = cosine(embed('zebra red green blue'), others);
    const often = cosine(embed('zebra zebra zebra zebra red green blue'), others);
    expect(often).toBeLessThan(once);
    expect(often).toBeGreaterThan(once * 0.5);
  });

  test('lets rare words of a query count more', () => {
    const weights = new Map([['the', 0.1]]);
    const query = embed('the quagga', (word) => weights.get(word) ?? 5);
    expect(cosine(query, embed('a quagga'))).toBeGreaterThan(cosine(query, embed('the barn')) + 0.3);
  });

  test('is written as Postgres reads it, to four digits', () => {
    const vector = embed('The quagga sleeps.');
    const numbers = JSON.parse(literalOf(vector)) as number[];
    expect(numbers).toHaveLength(DIMENSIONS);
    for (const [i, number] of numbers.entries()) expect(Math.abs(number - (vector[i] ?? 0))).toBeLessThanOrEqual(5e-5);
  });

  test('leaves out text that is no search word', () => {
    expect(wordsOf(`Ümläut 42 ${'x'.repeat(41)} naïve`)).toEqual(['ümläut', '42', 'naïve']);
  });
});

interface Request {
  input: string[];
  model: string;
}

/** An API that answers each request with the next of these, and from then on with vectors. */
class FakeApi {
  readonly requests: Request[] = [];
  readonly times: number[] = [];
  readonly #server: Server;

  constructor(answers: ((response: ServerResponse) => void)[]) {
    this.#server = createServer((request: IncomingMessage, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        const asked = JSON.parse(body) as Request;
        this.requests.push(asked);
        this.times.push(performance.now());
        const answer = answers.shift();
        if (answer !== undefined) answer(response);
        else
          response.end(
            JSON.stringify({ data: asked.input.map((text, index) => ({ index, embedding: [text.length, 1] })) }),
          );
      });
    });
  }

  async open(): Promise<Embedder> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    const { port } = this.#server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}/v1/embeddings`);
    return embeddingApi({ url, model: 'small', key: undefined, costPerMillionTokens: 1 });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const chunksOf = async function* (job: string, texts: readonly string[]): AsyncGenerator<Chunk> {
  for (const text of texts) yield { job, text };
};

/** What a job gets to see of its stream. */
async function follow(
  embedder: Embedder,
  way: ProgressWay,
  jobs: Record<string, string[]>,
): Promise<{ batches: Batch[]; jobs: Job[]; vectors: string[] }> {
  const failures: unknown[] = [];
  const embedding = openEmbedding(embedder, way, (error) => failures.push(error));
  const log = new BatchLog(embedding.capacity, (job) => job);
  const vectors: string[] = [];
  const ended = await Promise.all(
    Object.entries(jobs).map(async ([id, texts]) => {
      const progress = new JobProgress(
        newJob(id, id, id),
        embedding.capacity,
        embedder.costPerMillionTokens,
        () => undefined,
      );
      for await (const event of embedding.stream(id, chunksOf(id, texts), new AbortController().signal)) {
        if (event.type === 'batch') {
          vectors.push(...event.output.map(({ vector }) => vector));
          continue;
        }
        const share = shareOf(way, id, event.payload);
        if (share === undefined) throw new Error('a payload without a share');
        log.note(share);
        progress.embedded(share);
      }
      return progress.job;
    }),
  );
  await embedding.close();
  return { batches: log.take().batches, jobs: ended, vectors };
}

describe('an embedding API', () => {
  const texts = (count: number, length: number): string[] => Array.from({ length: count }, () => 'x'.repeat(length));

  test('is asked again when it says so, and not before', async () => {
    const later = (response: ServerResponse): void => void response.writeHead(429, { 'retry-after': '1' }).end('{}');
    const api = new FakeApi([later]);
    const { jobs, vectors } = await follow(await api.open(), 'summary', { ann: ['abc', 'de'] });
    expect(api.requests).toEqual([
      { input: ['abc', 'de'], model: 'small' },
      { input: ['abc', 'de'], model: 'small' },
    ]);
    // A timer may be a little early.
    expect((api.times[1] ?? 0) - (api.times[0] ?? 0)).toBeGreaterThan(990);
    expect(vectors).toEqual(['[3,1]', '[2,1]']);
    expect(jobs).toMatchObject([{ chunks: { embedded: 2 }, tokens: 2, cost: 2e-6, batches: 1 }]);
    await api.close();
  });

  test('is asked again after failures, and after an answer that makes no sense', async () => {
    const api = new FakeApi([
      (response) => void response.writeHead(500).end(),
      (response) => void response.end('{"data":[]}'),
      (response) => void response.end('{"data":[{"embedding":"no"},{"embedding":[]}]}'),
    ]);
    const { vectors } = await follow(await api.open(), 'summary', { ann: ['abc', 'de'] });
    expect([api.requests.length, vectors]).toEqual([4, ['[3,1]', '[2,1]']]);
    await api.close();
  });

  test('gets requests of at most 96 texts and 8,000 tokens', async () => {
    const api = new FakeApi([]);
    const embedder = await api.open();
    await follow(embedder, 'summary', { ann: texts(200, 4) });
    expect(Math.max(...api.requests.map(({ input }) => input.length))).toBe(96);
    api.requests.length = 0;
    await follow(embedder, 'summary', { ann: texts(20, 8_000) });
    expect(api.requests.map(({ input }) => input.length)).toEqual([4, 4, 4, 4, 4]);
    expect(embedder.dimensions).toBe(2);
    await api.close();
  });

  test.each<[header: string | null, wait: number | undefined]>([
    [null, undefined],
    ['', undefined],
    ['0', 0],
    ['1.5', 1_500],
    ['soon', undefined],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('understands Retry-After: %j', (header, wait) => {
    expect(waitAskedFor(header)).toBe(wait);
  });
});

describe('the three ways', () => {
  const texts = {
    ann: Array.from({ length: 150 }, (_, i) => `text ${i}`),
    bob: Array.from({ length: 60 }, (_, i) => `${i}`),
  };

  test.each<ProgressWay>(['summary', 'items', 'isolated'])(
    '%s comes to the same totals, for jobs and for batches',
    async (way) => {
      const api = new FakeApi([]);
      const { batches, jobs } = await follow(await api.open(), way, texts);
      await api.close();
      expect(jobs.map(({ chunks, tokens }) => [chunks.embedded, tokens])).toEqual([
        // 2 tokens for 6 and 7 letters, and for 8; 1 for one and two.
        [150, 300],
        [60, 60],
      ]);
      const parts = batches.flatMap((batch) => batch.parts);
      const of = (job: string): number =>
        parts.filter((part) => part.job === job).reduce((sum, { count }) => sum + count, 0);
      expect([of('ann'), of('bob')]).toEqual([150, 60]);
      for (const { size, parts: shares } of batches)
        expect(shares.reduce((sum, { count }) => sum + count, 0)).toBe(size);
      expect(batches.reduce((sum, { size }) => sum + size, 0)).toBe(210);
      expect(batches.reduce((sum, batch) => sum + batch.parts.length, 0)).toBe(
        jobs.reduce((sum, job) => sum + job.batches, 0),
      );
      expect(jobs.some(({ coalescing }) => coalescing.strangersShare > 0)).toBe(way !== 'isolated');
    },
  );
});
