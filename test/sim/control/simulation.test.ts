import { testKnownSeeds, testProof } from '../test-proof.js';
import { KNOWN_SEEDS } from './known-seeds.js';
import { CONTROL_PROOF } from './proof.js';

describe('A1, A2, A11, A12: partial failure, split, clear, pause, configure and hurry', () => {
  testKnownSeeds(CONTROL_PROOF, KNOWN_SEEDS);
  testProof(CONTROL_PROOF, { runs: 250 });
});
