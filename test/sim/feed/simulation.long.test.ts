import { testProof } from '../test-proof.js';
import { FEED_PROOF } from './proof.js';

describe('simulation of Feed, long run', () => {
  testProof(FEED_PROOF, { from: 101, runs: 1000 });
});
