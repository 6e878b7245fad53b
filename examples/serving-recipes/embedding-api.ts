// Calls to a rate-limited HTTP API for embeddings, of the shape that OpenAI has given it and many others understand: few
// requests, none above the limits of the API; "later" is waited for, and what is refused for good is not tried again.
import { BatchServing } from 'batch-please';

export interface ApiOptions {
  /** For example `https://api.openai.com/v1/embeddings`. */
  url: string;
  model: string;
  key?: string;
  /** What one request may hold. */
  limits?: { texts: number; tokens: number };
}

interface Answer {
  data: { index: number; embedding: number[] }[];
}

/** Tokens, as the API counts them, roughly. */
const tokensOf = (text: string): number => Math.ceil(text.length / 4);

/** `await api.dispatch(text)`, from anywhere: texts of one turn of the event loop, and those that come while a request runs, share one. */
export function embeddingApi({ url, model, key, limits = { texts: 96, tokens: 8000 } }: ApiOptions) {
  const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
  return new BatchServing({
    batchSize: limits.texts,
    maxBatchWeight: limits.tokens,
    weigh: tokensOf,
    batchTimeout: 0,
    retry: { attempts: 5, minDelay: 200 },
    handlerTimeout: 60_000,
    handleBatch: async (texts: readonly string[], { signal }): Promise<(number[] | Error)[]> => {
      for (;;) {
        const body = JSON.stringify({ model, input: texts });
        const response = await fetch(url, { method: 'POST', headers, body, signal });
        if (response.ok) return vectorsOf((await response.json()) as Answer, texts.length);
        const { status } = response;
        const error = new Error(`the embedding API answered ${status}: ${await response.text()}`);
        const seconds = Number(response.headers.get('retry-after'));
        if (status === 429 && seconds > 0) {
          // The partition waits, so texts queue up meanwhile instead of requests.
          await pause(seconds * 1000, signal);
          continue;
        }
        // An error that is thrown is tried again, as `retry` says; one in the place of a result is final.
        if (status >= 500 || status === 429) throw error;
        return texts.map(() => error);
      }
    },
  });
}

function vectorsOf({ data }: Answer, expected: number): number[][] {
  const vectors = [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding);
  if (vectors.length !== expected) throw new Error(`the embedding API answered ${vectors.length} of ${expected} texts`);
  return vectors;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
