import type { Proof } from '../harness.js';
import { simulateServer } from './simulate.js';

export const SERVER_PROOF: Proof = {
  command: 'npm run proof:server --',
  runs: 50_000,
  async run(seed) {
    const { violations, batches, promises } = await simulateServer(seed);
    return { violations, counts: { batches, promises } };
  },
};
