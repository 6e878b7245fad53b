import { simulate } from './simulate.js';

test('a feed loses nothing and blames nobody that is healthy, whatever the log does', async () => {
  for (let seed = 1; seed <= 60; seed++) await simulate(seed);
});
