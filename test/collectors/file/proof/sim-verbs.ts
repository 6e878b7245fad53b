import type { FileBatch } from '../../../../collectors/file-batcher.js';
import type { Thing } from './item.js';
import { Refusal } from './refusal.js';
import type { SimProcess } from './sim-process.js';

/** What a user does besides adding and flushing. */
export function use(sim: SimProcess): void {
  const { verbs } = sim.ledger;
  const { batcher } = sim;
  const verb = verbs.pick(['clear', 'pause', 'resume', 'configure'] as const);
  sim.note(`${verb}()`);
  if (verb === 'configure') {
    const lanes = 1 + verbs.int(2);
    batcher.configure({ maxBatchSize: 1 + verbs.int(6), flushConcurrency: lanes });
    // Batches of more lanes than one are in no order, and a crash may bring back more of them.
    sim.generation.lanes = Math.max(sim.generation.lanes, lanes);
  } else if (verb === 'clear') readCleared(sim, batcher.clear()).catch(() => undefined);
  else batcher[verb]();
}

/** One after the other: a reader has a descriptor. */
async function readCleared(sim: SimProcess, batches: readonly FileBatch<Thing>[]): Promise<void> {
  for (const batch of batches) {
    const { id, size } = batch;
    sim.note(`cleared: ${id} (${size})`);
    for await (const { id: item } of batch.items()) {
      const record = sim.ledger.items[item - 1];
      if (record !== undefined && !sim.files.dead) record.cleared = sim.ledger.generation;
    }
    if (batch.id !== id && !sim.files.dead) sim.ledger.bad(`G19: batch ${id} is ${batch.id} once it was handed back`);
  }
}

/** A hook of the user's that takes time, or fails. */
export function hook(sim: SimProcess): Promise<void> | undefined {
  const { verbs } = sim.ledger;
  const { hooks } = sim.generation;
  if (hooks === 0 || !verbs.chance(hooks)) return undefined;
  if (verbs.chance(0.3)) throw new Refusal('a hook fails');
  return new Promise((resolve, reject) => {
    const fails = verbs.chance(0.3);
    sim.clock.setTimer(
      () => {
        if (fails) reject(new Refusal('a hook fails later'));
        else resolve();
      },
      1 + verbs.int(40),
    );
  });
}
