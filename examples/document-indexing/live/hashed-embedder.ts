import { DIMENSIONS, NAME, embed, literalOf, wordsOf } from './hashed-embedding.js';
import type { Embedder } from './embedder.js';

const BATCH_SIZE = 32;
/** Milliseconds that the first chunk of a batch waits for those of others. */
const BATCH_TIMEOUT = 20;
/** What a small hosted model takes, so that the page has something to show: these vectors cost nothing. */
const PRICE = 0.02;
/** Milliseconds of one call to such a model, for the same purpose. */
const CALL = 50;

/** Made on worker threads, by the module at `worker`. */
export function hashedEmbedder(worker: URL, threads: number): Embedder {
  return {
    name: NAME,
    dimensions: DIMENSIONS,
    costPerMillionTokens: PRICE,
    assumedCall: CALL,
    nearEnough: 1,
    expect: () => undefined,
    serving: (way, alone) => ({
      batchSize: BATCH_SIZE,
      batchTimeout: BATCH_TIMEOUT,
      partitions: { count: alone ? 1 : threads, worker },
      // A thread that died has been replaced by then.
      retry: { attempts: 3, minDelay: 100 },
      hooks: ['progress'],
      runtimeOptions: { way },
    }),
    embedQuery: async (query, weights) => {
      const rarity = await weights(wordsOf(query));
      return literalOf(embed(query, (word) => rarity.get(word) ?? 1));
    },
  };
}
