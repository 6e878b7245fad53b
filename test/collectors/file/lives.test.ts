import { testKnownSeeds, testProof } from '../../sim/test-proof.js';
import { FATES_SEEDS, KNOWN_SEEDS, LATER_SEEDS, PARTS_SEEDS, VERBS_SEEDS } from './proof/known-seeds.js';
import { FILE_PROOF } from './proof/proof.js';

describe('simulated lives: G1 to G21 hold, whatever the disk, the power and the sink do', () => {
  testProof(FILE_PROOF, { runs: 400 });
});

describe('seeds that once found a bug', () => {
  testKnownSeeds(FILE_PROOF, KNOWN_SEEDS, ['trials', 'parts', 'fates', 'verbs']);
  testKnownSeeds(FILE_PROOF, LATER_SEEDS, ['parts', 'fates', 'verbs']);
  testKnownSeeds(FILE_PROOF, PARTS_SEEDS, ['fates', 'verbs']);
  testKnownSeeds(FILE_PROOF, FATES_SEEDS, ['verbs']);
  testKnownSeeds(FILE_PROOF, VERBS_SEEDS);
});
