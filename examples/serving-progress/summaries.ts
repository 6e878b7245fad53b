// Progress for many users, 1: one summary per batch, keyed by job. All jobs share batches; each finds its own line.
import { BatchServing } from 'batch-please';

export interface Text {
  job: string;
  text: string;
}

export type Summary = Record<string, { count: number; tokens: number }>;

const tokensOf = (text: string): number => Math.ceil(text.length / 4);

export const embeddings = new BatchServing({
  batchSize: 128,
  batchTimeout: 100,
  hooks: ['progress'],
  handleBatch: (values: readonly Text[], { hooks }) => {
    const summary: Summary = {};
    for (const { job, text } of values) {
      const line = (summary[job] ??= { count: 0, tokens: 0 });
      line.count++;
      line.tokens += tokensOf(text);
    }
    hooks.progress.all(summary);
    return values.map(({ text }) => [text.length]); // stands for a vector
  },
});

/** Indexes the texts of a job, and reports how far it is. */
export async function index(job: string, texts: string[], onProgress: (done: number) => void): Promise<number[][]> {
  const vectors: number[][] = [];
  let done = 0;
  for await (const event of embeddings.stream(texts.map((text) => ({ job, text })))) {
    if (event.type === 'batch') vectors.push(...event.output);
    else onProgress((done += (event.payload as Summary)[job]?.count ?? 0));
  }
  return vectors;
}
