// npm run proof:feed -- [RUNS] [FIRST SEED]: 50,000 runs by default.
import { simulate } from './simulate.js';

const [runs = 50_000, first = 1] = process.argv.slice(2).map(Number);
for (let seed = first; seed < first + runs; seed++) {
  try {
    await simulate(seed);
  } catch (error) {
    console.error(String(error), `\nnpm run proof:feed -- 1 ${seed}`);
    process.exitCode = 1;
    break;
  }
}
console.log('done');
