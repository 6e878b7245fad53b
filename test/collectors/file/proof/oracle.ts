import { FileBatcher } from '../../../../collectors/file-batcher.js';

/** What the processes said, in the order in which they said it. */
export interface Record {
  added: Set<number>;
  stored: Set<number>;
  /** Batch by batch, as often as it was delivered. */
  delivered: { batch: string; ids: number[] }[];
  wrong: string[];
  ended: boolean;
}

export function newRecord(): Record {
  return { added: new Set(), stored: new Set(), delivered: [], wrong: [], ended: false };
}

/** Takes in what a process has said; its last line may be cut. */
export function read(record: Record, said: string): void {
  record.ended = false;
  for (const line of said.split('\n').slice(0, -1)) {
    const [kind, first = '', second = ''] = line.split(' ');
    if (kind === 'A') record.added.add(Number(first));
    else if (kind === 'S') record.stored.add(Number(first));
    else if (kind === 'D') {
      const ids = second === '' ? [] : second.split(',').map(Number);
      record.delivered.push({ batch: first, ids });
    } else if (kind === 'X') record.wrong.push(line);
    else if (kind === 'E') record.ended = true;
  }
}

interface Thing {
  id: number;
  pad: string;
}

/** Opens what is left, as the next process would, and has it delivered. */
export async function deliverRest(directory: string, record: Record): Promise<void> {
  const batcher = new FileBatcher<Thing>({
    batchDirectory: directory,
    durability: 'none',
    unref: true,
    retry: false,
    async batchFlush(batch) {
      const ids: number[] = [];
      for await (const { id, pad } of batch.items()) {
        if (pad !== 'x'.repeat((id * 7919) % 90)) record.wrong.push(`item ${id} was changed`);
        ids.push(id);
      }
      record.delivered.push({ batch: batch.id, ids });
    },
  });
  for (const event of ['quarantined', 'unreadable', 'lost'] as const) batcher.on(event, () => undefined);
  const report = await batcher.open();
  if (report.unreadableFiles > 0) record.wrong.push(`${report.unreadableFiles} files cannot be read`);
  await batcher.flush();
  await batcher.close();
}

/** What is wrong, `crashes` having happened. */
export function judge({ added, stored, delivered, wrong }: Record, crashes: number): string[] {
  const found = [...wrong];
  const batchOf = new Map<number, string>();
  const again = new Set<string>();
  let repeats = 0;
  for (const { batch, ids } of delivered) {
    for (const id of ids) {
      if (!added.has(id)) found.push(`G2: item ${id} was never added`);
      const before = batchOf.get(id);
      if (before !== undefined && before !== batch) found.push(`G8: item ${id} came as ${before}, then as ${batch}`);
      if (before !== undefined) again.add(`${batch}/${repeats}`);
      batchOf.set(id, batch);
    }
    repeats++;
  }
  if (again.size > crashes) found.push(`G8: ${again.size} batches came again after ${crashes} crashes`);
  for (const id of stored) if (!batchOf.has(id)) found.push(`G1, G3: item ${id} is lost`);
  return found;
}
