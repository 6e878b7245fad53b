import { testKnownSeeds, testProof } from '../test-proof.js';
import { KNOWN_QUIET_SEEDS, KNOWN_SEEDS } from './known-seeds.js';
import { KERNEL_PROOF } from './proof.js';

const QUIET = ['reenter', 'closeInHook'];

describe('simulation: A1 to A8 hold, whatever hooks, listeners and callers do', () => {
  testKnownSeeds(KERNEL_PROOF, KNOWN_SEEDS);
  testKnownSeeds(KERNEL_PROOF, KNOWN_QUIET_SEEDS, QUIET);

  testProof(KERNEL_PROOF, { runs: 400, without: QUIET });
  testProof(KERNEL_PROOF, { runs: 300 });
});
