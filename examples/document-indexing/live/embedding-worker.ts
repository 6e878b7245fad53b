// Runs in a worker thread, as the partition of a serving.
import { randomUUID } from 'node:crypto';
import type { ServingContext } from 'batch-please';
import { now, tokensOf } from './embedder.js';
import type { Chunk, Embedded, Told } from './embedder.js';
import { embed, literalOf } from './hashed-embedding.js';
import { reportProgress } from './progress-hook.js';

interface Thread {
  id: string;
  batches: number;
}

export function init(): Thread {
  return { id: randomUUID(), batches: 0 };
}

export function handleBatch(
  chunks: readonly Chunk[],
  { state, hooks, reason, runtimeOptions }: ServingContext<Thread, 'progress', Told>,
): Embedded[] {
  const started = performance.now();
  const results = chunks.map(({ text }) => ({
    vector: literalOf(embed(text)),
    tokens: tokensOf(text),
    at: now(),
  }));
  state.batches += 1;
  const key = `${state.id}.${state.batches}`;
  const batch = { key, at: now(), reason, size: chunks.length, milliseconds: performance.now() - started };
  reportProgress(hooks.progress, runtimeOptions.way, batch, chunks, results);
  return results;
}
