import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { live, watchRejections } from './lives.js';

// npm run proof:file -- [--lives 5000000] [--from 1] [--seconds 600] [--failures 5], or --seed N for one life, told in full
// (with --plain for one of known-seeds.ts).
const { values } = parseArgs({
  options: {
    lives: { type: 'string', default: '100000' },
    from: { type: 'string', default: '1' },
    seconds: { type: 'string', default: 'Infinity' },
    failures: { type: 'string', default: '5' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string' },
    plain: { type: 'boolean', default: false },
    // What is known to be broken, as a regular expression.
    ignore: { type: 'string', default: '^$' },
    part: { type: 'string' },
  },
});

const ignored = new RegExp(values.ignore);

async function replay(seed: number): Promise<boolean> {
  const { violations } = await live(seed, console.log, values.plain);
  console.log(violations.length === 0 ? `seed ${seed}: sound` : `seed ${seed}:\n  ${violations.join('\n  ')}`);
  return violations.length === 0;
}

async function search(part: number, parts: number): Promise<{ lives: number; ops: number; failures: number }> {
  const from = Number(values.from);
  const start = performance.now();
  const limit = Number(values.seconds) * 1000;
  let told = start;
  let lives = 0;
  let ops = 0;
  let failures = 0;
  for (let seed = from + part; seed < from + Number(values.lives); seed += parts) {
    const outcome = await live(seed);
    lives++;
    ops += outcome.ops;
    const now = performance.now();
    const violations = outcome.violations.filter((violation) => !ignored.test(violation));
    if (violations.length > 0) {
      failures++;
      console.log(`seed ${seed}: ${violations[0] ?? ''}\n  npm run proof:file -- --seed ${seed}`);
      if (failures >= Number(values.failures)) break;
    }
    if (now - told > 30_000) {
      told = now;
      console.log(`  ${lives} lives, up to seed ${seed}, ${Math.round((lives * 1000) / (now - start))} a second`);
    }
    if (now - start > limit) break;
  }
  return { lives, ops, failures };
}

if (values.seed !== undefined) {
  watchRejections();
  process.exitCode = (await replay(Number(values.seed))) ? 0 : 1;
} else if (values.part !== undefined) {
  watchRejections();
  const [part = 0, parts = 1] = values.part.split('/').map(Number);
  process.send?.(await search(part, parts));
  process.disconnect();
} else {
  const parts = Math.min(Number(values.workers), availableParallelism());
  const start = performance.now();
  const sum = { lives: 0, ops: 0, failures: 0 };
  await Promise.all(
    Array.from({ length: parts }, (_, part) => {
      const child = fork(process.argv[1] ?? '', [...process.argv.slice(2), '--part', `${part}/${parts}`]);
      let answered = false;
      child.on('message', (message) => {
        answered = true;
        const { lives, ops, failures } = message as typeof sum;
        sum.lives += lives;
        sum.ops += ops;
        sum.failures += failures;
      });
      return new Promise<void>((resolve) => {
        child.on('exit', () => {
          if (!answered) sum.failures++;
          resolve();
        });
      });
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${sum.lives} lives from seed ${values.from} on, ${sum.ops} operations on files, ${sum.failures} failed, ` +
      `in ${seconds.toFixed(0)} s (${Math.round(sum.lives / seconds)} a second)`,
  );
  process.exitCode = sum.failures === 0 ? 0 : 1;
}
