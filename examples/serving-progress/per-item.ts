// Progress for many users, 2: one payload per value. Each caller gets the slice of the values that are its own.
import { BatchServing } from 'batch-please';

const tokensOf = (text: string): number => Math.ceil(text.length / 4);

export const embeddings = new BatchServing({
  batchSize: 128,
  batchTimeout: 100,
  hooks: ['progress'],
  handleBatch: (texts: readonly string[], { hooks }) => {
    hooks.progress.each(texts.map((text) => ({ tokens: tokensOf(text) })));
    return texts.map((text) => [text.length]); // stands for a vector
  },
});

/** Embeds texts, and reports how many of them are done and how many tokens they took. */
export async function embed(
  texts: string[],
  onProgress: (progress: { done: number; tokens: number }) => void,
): Promise<number[][]> {
  const vectors: number[][] = [];
  const progress = { done: 0, tokens: 0 };
  for await (const event of embeddings.stream(texts)) {
    if (event.type === 'batch') {
      vectors.push(...event.output);
      continue;
    }
    for (const { tokens } of event.payload as { tokens: number }[]) {
      progress.done++;
      progress.tokens += tokens;
    }
    onProgress({ ...progress });
  }
  return vectors;
}
