// As ours, in a process in which hooks of every shape have been used before: sync and async ones, some that change the
// batch, some that return the next one, batches that are lists, objects and numbers. The just-in-time compiler then knows
// no shape that it could bet on.
import { BatchPlease, MemoryBatcher } from '../../lib/batch-please.js';
import { run as runOurs } from './ours.js';

const SHAPES = [
  { batchInit: () => 0, batchAddItem: (sum, item) => sum + item },
  { batchInit: () => ({ items: [] }), batchAddItem: (batch, item) => ({ items: [...batch.items.slice(-3), item] }) },
  { batchInit: async () => new Set(), batchAddItem: (batch, item) => void batch.add(item) },
  { batchInit: () => [], batchAddItem: async (batch, item) => void batch.push(item) },
  { batchInit: async () => '', batchAddItem: async (text, item) => text + item },
];

let prepared;

export async function run(params, meter) {
  prepared ??= prepare();
  await prepared;
  return runOurs(params, meter);
}

async function prepare() {
  for (let round = 0; round < 3; round++) {
    for (const hooks of SHAPES) {
      const collector = new (class extends BatchPlease {})({
        ...hooks,
        maxBatchSize: 100,
        batchFlush: round === 1 ? async () => {} : () => {},
      });
      for (let i = 0; i < 20_000; i++) collector.addItem(i);
      await collector.close();
    }
    const memory = new MemoryBatcher({ maxBatchSize: 100, batchFlush: () => {} });
    for (let i = 0; i < 50_000; i++) memory.addItem({ i });
    await memory.close();
  }
}
