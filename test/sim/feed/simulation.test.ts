import { simulate } from './simulate.js';

test('a feed loses nothing and buries no healthy item, whatever the log does', async () => {
  for (let seed = 1; seed <= 60; seed++) await simulate(seed);
});
