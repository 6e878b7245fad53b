import { testProof } from '../test-proof.js';
import { KEYED_PROOF } from './proof.js';

describe('simulation of a batcher per key, long run', () => {
  testProof(KEYED_PROOF, { from: 101, runs: 1000 });
});
