import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from './compile.js';
import { contend } from './contend.js';
import { killLoop } from './kill.js';

// npm run proof:file:kill -- [--kills 10000] [--seed 1] [--contend]: on one directory that lives on; or several who want it.
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: 'Infinity' },
    contend: { type: 'boolean', default: false },
  },
});

const STEP = 250;
const compiled = compile();
const folder = fs.mkdtempSync(join(tmpdir(), 'bp-kill-'));
const start = performance.now();
const limit = Number(values.seconds) * 1000;
let failed = false;
let kills = 0;
try {
  for (let step = 0; kills < Number(values.kills) && !failed && performance.now() - start < limit; step++) {
    const count = Math.min(STEP, Number(values.kills) - kills);
    const seed = Number(values.seed) + step;
    const outcome = values.contend
      ? await contend(compiled, folder, 4, count, seed)
      : await killLoop(compiled, folder, count, seed);
    kills += outcome.kills;
    failed = outcome.violations.length > 0;
    for (const violation of outcome.violations.slice(0, 10)) console.log(violation);
    if (failed)
      console.log(`  npm run proof:file:kill -- --kills ${count} --seed ${seed}${values.contend ? ' --contend' : ''}`);
    const { violations: _, ...rest } = outcome;
    console.log(`  ${kills} kills: ${JSON.stringify(rest)}`);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${kills} kills, ${failed ? 'and it failed' : 'nothing lost, nothing fabricated'}, in ${seconds} s`);
} catch (error) {
  console.log(`the directory stays as it is: ${folder}`);
  throw error;
} finally {
  fs.rmSync(compiled, { recursive: true, force: true });
}
fs.rmSync(folder, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;
