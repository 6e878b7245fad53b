import type { Proof } from '../harness.js';
import { simulateKeyed } from './simulate.js';

export const KEYED_PROOF: Proof = {
  command: 'npm run proof:keyed --',
  runs: 20_000,
  async run(seed, { trace }) {
    const { violations, items, attempts, evicted } = await simulateKeyed(seed, trace);
    return { violations, counts: { items, attempts, evicted } };
  },
};
