import type { Proof } from '../harness.js';
import { simulate } from './simulate.js';

export const SERVING_PROOF: Proof = {
  command: 'npm run proof:serving --',
  runs: 50_000,
  run: async (seed) => ({ violations: await simulate(seed) }),
};
