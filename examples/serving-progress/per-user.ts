// Progress for many users, 3: one serving per user. Nothing is shared, so the progress of a batch is that of its user alone.
import { servingPool } from 'batch-please';

export const embeddings = servingPool(
  (user: string) => ({
    name: `embeddings of ${user}`,
    batchSize: 128,
    batchTimeout: 100,
    hooks: ['progress'],
    handleBatch: (
      texts: readonly string[],
      { hooks }: { hooks: Readonly<Record<'progress', { all(payload: unknown): void }>> },
    ) => {
      hooks.progress.all({ user, count: texts.length });
      return texts.map((text) => [text.length]); // stands for a vector
    },
  }),
  { idleTimeout: 60_000 },
);

export async function embed(
  user: string,
  texts: string[],
  onProgress: (payload: unknown) => void,
): Promise<number[][]> {
  const vectors: number[][] = [];
  for await (const event of embeddings.get(user).stream(texts)) {
    if (event.type === 'batch') vectors.push(...event.output);
    else onProgress((event as { payload: unknown }).payload);
  }
  return vectors;
}
