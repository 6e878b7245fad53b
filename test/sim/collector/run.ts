import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { FEATURES, type Feature } from './plan.js';
import { simulate, watchRejections } from './simulate.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    without: { type: 'string', default: '' },
    failures: { type: 'string', default: '5' },
    part: { type: 'string' },
  },
});
const without = new Set(
  values.without.split(',').filter((name) => (FEATURES as readonly string[]).includes(name)),
) as Set<Feature>;
const command = `npm run proof:kernel -- ${values.without && `--without ${values.without} `}--seed `;

async function replay(seed: number): Promise<boolean> {
  const { violations } = await simulate(seed, { trace: console.log, without });
  console.log(violations.length === 0 ? `seed ${seed}: sound` : `seed ${seed}:\n  ${violations.join('\n  ')}`);
  return violations.length === 0;
}

async function search(from: number, runs: number, step: number): Promise<number> {
  let failures = 0;
  for (let seed = from; seed < from + runs && failures < Number(values.failures); seed += step) {
    const { violations } = await simulate(seed, { without });
    if (violations.length === 0) continue;
    failures++;
    console.log(`seed ${seed}: ${violations[0] ?? ''}\n  ${command}${seed}`);
  }
  return failures;
}

if (values.seed !== undefined) {
  watchRejections();
  process.exitCode = (await replay(Number(values.seed))) ? 0 : 1;
} else if (values.part !== undefined) {
  watchRejections();
  const [part = 0, parts = 1] = values.part.split('/').map(Number);
  process.exitCode = (await search(Number(values.from) + part, Number(values.runs) - part, parts)) === 0 ? 0 : 1;
} else {
  const parts = Math.min(2, availableParallelism());
  const start = performance.now();
  const codes = await Promise.all(
    Array.from({ length: parts }, (_, part) => {
      const child = fork(process.argv[1] ?? '', [...process.argv.slice(2), '--part', `${part}/${parts}`]);
      return new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const sound = codes.every((code) => code === 0);
  console.log(`${sound ? values.runs : 'some'} runs ${sound ? 'sound' : 'failed'} in ${seconds.toFixed(1)} s`);
  process.exitCode = sound ? 0 : 1;
}
