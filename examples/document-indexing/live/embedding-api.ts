import { randomUUID } from 'node:crypto';
import { ApiError, requestVectors } from './api-request.js';
import type { ApiSettings, Wait } from './api-request.js';
import { now, tokensOf } from './embedder.js';
import type { Chunk, Embedded, Embedder } from './embedder.js';
import { reportProgress } from './progress-hook.js';

export type { ApiSettings } from './api-request.js';
export { waitAskedFor } from './api-request.js';

/** What one request may hold. */
const MAX_TEXTS = 96;
const MAX_TOKENS = 8_000;
const REQUESTS_AT_ONCE = 2;
/** An answer that is not what was asked for is tried again, but not as often as a connection that broke. */
const ODD_ANSWERS = 4;
/** Milliseconds that a search waits for the vector of its query. */
const QUERY_TIMEOUT = 3_000;
/** Cosines of texts that have nothing to do with each other lie below it, for most models. */
const NEAR_ENOUGH = 0.3;

type Outcome = { vector: string; refused?: undefined } | { vector: ''; refused: string };

/** Vectors of a model behind an HTTP API, as OpenAI has shaped it and many others understand it. */
export function embeddingApi(settings: ApiSettings): Embedder {
  let dimensions = 0;
  let batches = 0;
  const life = randomUUID();

  async function vectorsOf(texts: readonly string[], wait: Wait, signal?: AbortSignal): Promise<Outcome[]> {
    const vectors = await requestVectors(settings, texts, wait, signal);
    for (const { length } of vectors) {
      if (dimensions === 0) dimensions = length;
      if (length !== dimensions) throw otherDimension(length, dimensions);
    }
    return vectors.map((vector) => ({ vector: `[${vector.join(',')}]` }));
  }

  /**
   * A request that is refused for what is in it (400, 413, 422) is halved until the texts that are to blame are found:
   * they alone are refused. If everything is refused, the request is wrong, and not a text.
   */
  async function outcomesOf(texts: readonly string[], wait: Wait, signal: AbortSignal): Promise<Outcome[]> {
    let failures = 0;
    let succeeded = false;
    const most = 2 * Math.log2(texts.length) + 2;
    const attempt = async (part: readonly string[]): Promise<Outcome[]> => {
      try {
        const outcomes = await vectorsOf(part, wait, signal);
        succeeded = true;
        return outcomes;
      } catch (error) {
        failures += 1;
        if (!(error instanceof ApiError) || error.kind !== 'content') throw error;
        if (!succeeded && failures > most) throw new ApiError(error.message, 'denied');
        if (part.length === 1) return [{ vector: '', refused: error.message }];
        const middle = part.length >> 1;
        return [...(await attempt(part.slice(0, middle))), ...(await attempt(part.slice(middle)))];
      }
    };
    return attempt(texts);
  }

  return {
    name: `${settings.model} at ${settings.url.host}`,
    get dimensions() {
      return dimensions;
    },
    costPerMillionTokens: settings.costPerMillionTokens,
    assumedCall: undefined,
    nearEnough: NEAR_ENOUGH,
    expect: (known) => (dimensions = known),
    serving: (way, alone, onWait) => ({
      batchSize: MAX_TEXTS,
      batchTimeout: 50,
      maxBatchWeight: MAX_TOKENS,
      weigh: ({ text }: Chunk) => tokensOf(text),
      partitions: alone ? 1 : REQUESTS_AT_ONCE,
      retry: { attempts: 8, minDelay: 500, maxDelay: 30_000 },
      hooks: ['progress'],
      runtimeOptions: { way },
      handleBatch: async (chunks, { hooks, reason, signal, attempt }) => {
        const started = performance.now();
        const texts = chunks.map(({ text }) => text);
        let outcomes: Outcome[];
        try {
          outcomes = await outcomesOf(texts, onWait, signal);
        } catch (error) {
          // An error in the place of a result is final; one that is thrown is tried again, as `retry` says.
          const final = error instanceof ApiError && (error.kind === 'denied' || attempt >= ODD_ANSWERS);
          if (final && error.kind !== 'temporary') return chunks.map(() => error);
          throw error;
        }
        const results = outcomes.map((outcome, i): Embedded => {
          return { ...outcome, tokens: tokensOf(texts[i] ?? ''), at: now() };
        });
        batches += 1;
        const milliseconds = performance.now() - started;
        const batch = { key: `${life}.${batches}`, at: now(), reason, size: chunks.length, milliseconds };
        reportProgress(hooks.progress, way, batch, chunks, results);
        return results;
      },
    }),
    // A model weighs the words by itself. A search must not take as long as a job may.
    embedQuery: async (query) => {
      const [outcome] = await vectorsOf([query], 'never', AbortSignal.timeout(QUERY_TIMEOUT));
      return outcome?.vector ?? '';
    },
  };
}

function otherDimension(answered: number, expected: number): ApiError {
  const remedy = 'if it is another model now, give it another name with EMBEDDINGS_MODEL';
  const message = `the embedding API answered with vectors of ${answered} numbers instead of ${expected}: ${remedy}`;
  return new ApiError(message, 'denied');
}
