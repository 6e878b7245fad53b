import type { ServingHook } from 'batch-please';
import type { ProgressWay } from '../protocol.js';
import type { Chunk, Embedded } from './embedder.js';

/** What a handler reports of its batch. */
export interface BatchFacts {
  /** Of no other batch. */
  key: string;
  /** When it ended, in milliseconds since 1970. */
  at: number;
  reason: string;
  size: number;
  milliseconds: number;
}

export interface Line {
  count: number;
  tokens: number;
}

/** `summary`: one payload for all, keyed by job. */
interface Summary {
  batch: BatchFacts;
  jobs: Record<string, Line>;
}

/** `items`: one payload for each value, and each caller gets those of its own values. */
interface Item {
  batch: BatchFacts;
  tokens: number;
}

/** `isolated`: the serving is of one job, so all that it reports is about that job. */
type Whole = { batch: BatchFacts } & Line;

/** The guide's three ways to report progress, as the handler sees them. */
export function reportProgress(
  hook: ServingHook,
  way: ProgressWay,
  batch: BatchFacts,
  chunks: readonly Chunk[],
  results: readonly Embedded[],
): void {
  const tokens = (i: number): number => results[i]?.tokens ?? 0;
  if (way === 'items') {
    hook.each(chunks.map((_, i): Item => ({ batch, tokens: tokens(i) })));
  } else if (way === 'isolated') {
    const sum = chunks.reduce((all, _, i) => all + tokens(i), 0);
    hook.all({ batch, count: chunks.length, tokens: sum } satisfies Whole);
  } else {
    const jobs: Record<string, Line> = {};
    for (const [i, { job }] of chunks.entries()) {
      const line = (jobs[job] ??= { count: 0, tokens: 0 });
      line.count += 1;
      line.tokens += tokens(i);
    }
    hook.all({ batch, jobs } satisfies Summary);
  }
}

/** What one job learns from a payload. */
export interface Share {
  batch: BatchFacts;
  own: Line;
  /** Whose chunks were in the batch, as far as this payload says: of all jobs, or of this one alone. */
  parts: { job: string; count: number }[];
}

/** The same as the caller of job `job` sees them. */
export function shareOf(way: ProgressWay, job: string, payload: unknown): Share | undefined {
  if (way === 'items') {
    const items = payload as Item[]; // of reportProgress
    const [first] = items;
    if (first === undefined) return undefined;
    const own = { count: items.length, tokens: items.reduce((all, { tokens }) => all + tokens, 0) };
    return { batch: first.batch, own, parts: [{ job, count: own.count }] };
  }
  if (way === 'isolated') {
    const { batch, count, tokens } = payload as Whole; // of reportProgress
    return { batch, own: { count, tokens }, parts: [{ job, count }] };
  }
  const { batch, jobs } = payload as Summary; // of reportProgress
  const parts = Object.entries(jobs).map(([id, { count }]) => ({ job: id, count }));
  return { batch, own: jobs[job] ?? { count: 0, tokens: 0 }, parts };
}
