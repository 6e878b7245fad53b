import { simulateServer } from './simulate.js';

/** The long form: `npx tsx test/sim/server/run.ts [from] [runs]`. */
const [from = 1, runs = 50_000] = process.argv.slice(2).map(Number);
process.removeAllListeners('warning');
process.emitWarning = () => undefined; // the hooks fail on purpose
process.on('unhandledRejection', (error) => {
  console.log('unhandled rejection', error);
  process.exitCode = 1;
});
let [failures, batches, promises] = [0, 0, 0];
for (let seed = from; seed < from + runs && failures < 5; seed++) {
  const outcome = await simulateServer(seed);
  batches += outcome.batches;
  promises += outcome.promises;
  if (outcome.violations.length === 0) continue;
  failures++;
  console.log(`seed ${seed}: ${outcome.violations[0] ?? ''}\n  npx tsx test/sim/server/run.ts ${seed} 1`);
}
console.log(`${runs} runs, ${batches} batches, ${promises} promises, ${failures} failures`);
if (failures > 0) process.exitCode = 1;
