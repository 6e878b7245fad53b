import { BatchServing, servingPool } from 'batch-please';
import type { StreamEvent } from 'batch-please';
import type { ProgressWay } from '../protocol.js';
import type { Chunk, Embedded, Embedder, OnWait, Told } from './embedder.js';

type Serving = BatchServing<Chunk, Embedded, unknown, 'progress', Told>;
export type EmbeddingEvent = StreamEvent<Embedded, 'progress'>;

/** Turns the chunks of all jobs into vectors. */
export interface Embedding {
  readonly way: ProgressWay;
  /** The largest batch. */
  readonly capacity: number;
  /** A job's chunks, pulled as the vectors of earlier ones are read; what comes is as `--progress` says. */
  stream(job: string, chunks: AsyncIterable<Chunk>, signal: AbortSignal): AsyncIterable<EmbeddingEvent>;
  close(): Promise<void>;
}

/** Called when an attempt has failed; milliseconds to the next one, `Infinity` if it was the last. */
export type OnFailure = (error: unknown, wait: number) => void;

export function openEmbedding(
  embedder: Embedder,
  way: ProgressWay,
  onFailure: OnFailure,
  onWait: OnWait = () => undefined,
): Embedding {
  const alone = way === 'isolated';
  const options = embedder.serving(way, alone, onWait);
  const make = (): Serving => {
    // One serving for the chunks of all jobs: those that come close together are embedded in one call.
    const serving: Serving = new BatchServing(options);
    serving.on('failed', ({ error, retryAt }) => onFailure(error, retryAt - performance.now()));
    return serving;
  };
  const capacity = options.batchSize;
  return alone ? isolated(make, capacity) : shared(make(), way, capacity);
}

function shared(serving: Serving, way: ProgressWay, capacity: number): Embedding {
  return {
    way,
    capacity,
    stream: (_job, chunks, signal) => serving.stream(chunks, { signal }),
    close: () => serving.close({ pending: 'reject' }),
  };
}

/** Milliseconds after the end of a job until its threads are given up. */
const IDLE = 30_000;

function isolated(make: () => Serving, capacity: number): Embedding {
  const servings = servingPool<string, Serving>(make, { idleTimeout: IDLE });
  return {
    way: 'isolated',
    capacity,
    async *stream(job, chunks, signal) {
      // A job that waits for the database has nothing pending here, and is not at its end.
      const stillUsed = setInterval(() => servings.get(job), IDLE / 3);
      try {
        yield* servings.get(job).stream(chunks, { signal });
      } finally {
        clearInterval(stillUsed);
      }
    },
    close: () => servings.close({ pending: 'reject' }),
  };
}
