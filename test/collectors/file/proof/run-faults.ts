import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from './compile.js';
import { type Case, allCases, compileShim, nameOfCase, runCase } from './faults.js';

// npm run proof:file:faults -- [--rounds 1] [--every 1], or --case work,item,EIO,17 for one of them.
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    every: { type: 'string', default: '1' },
    case: { type: 'string' },
  },
});

const compiled = compile();
const folder = fs.mkdtempSync(join(tmpdir(), 'bp-faults-'));
const shim = compileShim(compiled);
try {
  if (shim === undefined) console.log('SKIPPED: all of it: no C compiler here, or no Linux\n0 cases, all skipped');
  else if (values.case !== undefined) {
    const [phase, durability, action, at] = values.case.split(',');
    const one = { phase, durability, action, at: Number(at) } as Case;
    const { violations, ops } = await runCase(compiled, shim, join(folder, 'one'), one);
    console.log(`${ops.join(' ')}\n${violations.join('\n') || 'sound'}`);
    process.exitCode = violations.length === 0 ? 0 : 1;
  } else {
    const start = performance.now();
    let failures = 0;
    let done = 0;
    for (let round = 0; round < Number(values.rounds); round++) {
      const all = await allCases(compiled, shim, join(folder, 'dry'));
      const cases = all.filter((_case, index) => index % Number(values.every) === round % Number(values.every));
      for (const one of cases) {
        const { violations } = await runCase(compiled, shim, join(folder, 'case'), one);
        done++;
        if (violations.length > 0) {
          failures++;
          const name = nameOfCase(one);
          console.log(`${name}: ${violations[0] ?? ''}\n  npm run proof:file:faults -- --case ${name}`);
        }
        if (done % 200 === 0) console.log(`  ${done} of ${cases.length * Number(values.rounds)} cases`);
      }
    }
    console.log(
      `${done} cases, ${failures} failed, 0 skipped, in ${((performance.now() - start) / 1000).toFixed(0)} s`,
    );
    process.exitCode = failures === 0 ? 0 : 1;
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.rmSync(compiled, { recursive: true, force: true });
}
