import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { now, tokensOf } from './embedder.js';
import type { Chunk, Embedded, Embedder } from './embedder.js';
import { tellProgress } from './progress-hook.js';

export interface ApiSettings {
  url: URL;
  model: string;
  key: string | undefined;
  costPerMillionTokens: number;
}

/** What one request may hold. */
const MAX_TEXTS = 96;
const MAX_TOKENS = 8_000;
const REQUESTS_AT_ONCE = 2;
const REQUEST_TIMEOUT = 60_000;
/** An API that says "later" is believed, within reason. */
const LONGEST_WAIT = 60_000;

/** Vectors of a model behind an HTTP API, as OpenAI has shaped it and many others understand it. */
export function embeddingApi(settings: ApiSettings): Embedder {
  let dimensions = 0;
  let batches = 0;
  const life = randomUUID();

  async function vectorsOf(texts: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const vectors = await request(settings, texts, signal);
    dimensions = vectors[0]?.length ?? dimensions;
    return vectors.map((vector) => `[${vector.join(',')}]`);
  }

  return {
    name: `${settings.model} at ${settings.url.host}`,
    get dimensions() {
      return dimensions;
    },
    costPerMillionTokens: settings.costPerMillionTokens,
    serving: (way, alone) => ({
      batchSize: MAX_TEXTS,
      batchTimeout: 50,
      maxBatchWeight: MAX_TOKENS,
      weigh: ({ text }: Chunk) => tokensOf(text),
      partitions: alone ? 1 : REQUESTS_AT_ONCE,
      retry: { attempts: 8, minDelay: 500, maxDelay: 30_000 },
      hooks: ['progress'],
      runtimeOptions: { way },
      handleBatch: async (chunks, { hooks, reason, signal }) => {
        const started = performance.now();
        const texts = chunks.map(({ text }) => text);
        const vectors = await vectorsOf(texts, signal);
        const results = chunks.map(({ text }, i): Embedded => ({
          vector: vectors[i] ?? '',
          tokens: tokensOf(text),
          at: now(),
        }));
        batches += 1;
        const milliseconds = performance.now() - started;
        const batch = { key: `${life}.${batches}`, at: now(), reason, size: chunks.length, milliseconds };
        tellProgress(hooks.progress, way, batch, chunks, results);
        return results;
      },
    }),
    // A model weighs the words by itself.
    embedQuery: async (query) => (await vectorsOf([query], AbortSignal.timeout(REQUEST_TIMEOUT)))[0] ?? '',
  };
}

/** While it waits, as the API demands, its partition does too: texts gather instead of requests. */
async function request(settings: ApiSettings, texts: readonly string[], outer?: AbortSignal): Promise<number[][]> {
  const { url, model, key } = settings;
  const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
  const body = JSON.stringify({ input: texts, model });
  for (;;) {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT);
    const signal = outer === undefined ? timeout : AbortSignal.any([outer, timeout]);
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    if (response.ok) return vectorsIn(await response.json(), texts.length);
    await response.body?.cancel();
    const wait = waitAskedFor(response.headers.get('retry-after'));
    // Other failures are thrown, and repeated as the serving's `retry` says.
    if (wait === undefined || (response.status !== 429 && response.status !== 503)) {
      throw new Error(`the embedding API answered ${response.status} ${response.statusText}`.trimEnd());
    }
    await sleep(Math.min(wait, LONGEST_WAIT), undefined, { signal: outer });
  }
}

/** Seconds or a date, in milliseconds from now. */
export function waitAskedFor(header: string | null): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function vectorsIn(answer: unknown, expected: number): number[][] {
  const { data } = (answer ?? {}) as { data?: { embedding?: unknown; index?: unknown }[] };
  if (!Array.isArray(data) || data.length !== expected) {
    throw new Error(`the embedding API answered without ${expected} embeddings`);
  }
  const vectors: number[][] = [];
  for (const [i, { embedding, index }] of data.entries()) {
    if (!isVector(embedding)) throw new Error('the embedding API answered with what is no vector');
    vectors[typeof index === 'number' ? index : i] = embedding;
  }
  return vectors;
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((number) => Number.isFinite(number));
}
