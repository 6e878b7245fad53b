import { judge } from './judge.js';
import type { Ledger } from './ledger.js';
import { SimProcess } from './sim-process.js';

/**
 * One life of a directory: several processes, one after another, on one disk. The oracle is what the processes were
 * reported while they lived.
 */
export async function live(ledger: Ledger): Promise<void> {
  const { generations } = ledger.plan;
  for (const [index, generation] of generations.entries()) {
    ledger.generation = index;
    ledger.again.push(new Set());
    ledger.notRemoved.push(0);
    if (ledger.trace !== undefined) {
      const words = JSON.stringify(generation, (_key, value: unknown) => (value === Infinity ? 'none' : value));
      ledger.trace(`--- process ${index}: ${words}`);
    }
    await new SimProcess(ledger, generation, index === generations.length - 1).run();
    if (ledger.violations.length > 0) return;
  }
  judge(ledger);
}
