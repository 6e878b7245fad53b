import { simulate } from './simulate.js';

// The long form: npx tsx test/sim/serving/run.ts 100000
test('many callers, partitions, failures, aborts and closes: everybody gets an answer, and nobody that of another', async () => {
  const wrong: string[] = [];
  for (let seed = 1; seed <= 1500 && wrong.length === 0; seed++) {
    for (const what of await simulate(seed)) wrong.push(`seed ${String(seed)}: ${what}`);
  }
  expect(wrong).toEqual([]);
}, 600_000);
