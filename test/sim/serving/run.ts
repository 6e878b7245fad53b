// npx tsx test/sim/serving/run.ts [runs] [first seed]
import { simulate } from './simulate.js';

const runs = Number(process.argv[2] ?? 1000);
const first = Number(process.argv[3] ?? 1);
for (let seed = first; seed < first + runs; seed++) {
  const wrong = await simulate(seed);
  if (wrong.length > 0) {
    console.error(`seed ${String(seed)}: npx tsx test/sim/serving/run.ts 1 ${String(seed)}`);
    console.error(wrong.slice(0, 10).join('\n'));
    process.exitCode = 1;
    break;
  }
}
console.log(`${String(runs)} runs from seed ${String(first)}`);
