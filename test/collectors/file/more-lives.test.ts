import { testLives } from './proof/test-lives.js';

describe('more simulated lives', () => {
  testLives(10_001, 700);
});
