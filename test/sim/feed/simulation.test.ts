import { testProof } from '../test-proof.js';
import { FEED_PROOF } from './proof.js';

describe('a feed loses nothing, buries no healthy item and buries poison once', () => {
  testProof(FEED_PROOF, { runs: 100 });

  // A process that began in an outage buried a suspect.
  testProof(FEED_PROOF, { from: 1611, runs: 1 });
});
