import { testLives } from './proof/test-lives.js';

describe('more simulated lives in the long run', () => {
  testLives(1_010_001, 1500, 500);
});
