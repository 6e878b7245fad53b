import type { Proof } from '../harness.js';
import { FEATURES } from './plan.js';
import { simulateKeyed } from './simulate.js';

export const KEYED_PROOF: Proof = {
  command: 'npm run proof:keyed --',
  runs: 20_000,
  features: FEATURES,
  async run(seed, { trace, without }) {
    const { violations, items, attempts, evicted, waited, late, made } = await simulateKeyed(seed, trace, without);
    return { violations, counts: { items, attempts, evicted, waited, late, made } };
  },
};
