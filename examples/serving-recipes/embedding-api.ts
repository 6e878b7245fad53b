// Calls to a rate-limited HTTP API for embeddings: few requests, none above the limits of the API, and when the API says
// "later", it is asked again then.
import { BatchServing } from 'batch-please';

/** Tokens, as the API counts them, roughly. */
const tokensOf = (text: string): number => Math.ceil(text.length / 4);

export function embeddingApi(url: string, limits = { texts: 96, tokens: 8000 }): BatchServing<string, number[]> {
  return new BatchServing({
    batchSize: limits.texts,
    maxBatchWeight: limits.tokens,
    weigh: tokensOf,
    batchTimeout: 10,
    retry: { attempts: 5, minDelay: 200 },
    handlerTimeout: 30_000,
    handleBatch: async (texts: readonly string[], { signal }) => {
      for (;;) {
        const body = JSON.stringify({ input: texts });
        const response = await fetch(url, { method: 'POST', body, signal });
        if (response.ok) return ((await response.json()) as { embeddings: number[][] }).embeddings;
        await response.body?.cancel();
        const seconds = Number(response.headers.get('retry-after'));
        // Other failures are thrown, and repeated as `retry` says.
        if (response.status !== 429 || !(seconds > 0)) throw new Error(`the API answered ${String(response.status)}`);
        // The partition waits, so meanwhile texts gather instead of requests.
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        signal.throwIfAborted();
      }
    },
  });
}
