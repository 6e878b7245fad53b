import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noPreload, testUnless } from '../../support/skips.js';
import { compile } from './proof/compile.js';
import { contend } from './proof/contend.js';
import { allCases, compileShim, nameOfCase, runCase } from './proof/faults.js';
import { killLoop } from './proof/kill.js';

/** Real processes on a real file system, killed from outside: these take real time. */
const KILLS = 100;
const CONTENDED_KILLS = 25;
/** Of all cases, which `npm run proof:file:faults` runs. */
const EVERY = 127;

let compiled: string;
let folder: string;

beforeAll(() => {
  compiled = compile();
}, 120_000);

afterAll(() => {
  fs.rmSync(compiled, { recursive: true, force: true });
});

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-processes-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

test(`G1, G3, G8: ${KILLS} kills on one directory that lives on lose nothing and fabricate nothing`, async () => {
  const { violations, stored, delivered } = await killLoop(compiled, folder, KILLS, 1);
  expect(violations).toEqual([]);
  // A kill waits until the process has stored something, however slow the machine is.
  expect(stored).toBeGreaterThan(KILLS / 4);
  expect(delivered).toBeGreaterThan(0);
}, 600_000);

test(`G11: of 4 processes one has the directory, a dead one never blocks it (${CONTENDED_KILLS} kills)`, async () => {
  const { violations, takes } = await contend(compiled, folder, 4, CONTENDED_KILLS, 1);
  expect(violations).toEqual([]);
  // At most three kills come between two takes.
  expect(takes).toBeGreaterThan(5);
}, 600_000);

const faults = `G1, G2, G7: a fault in every ${EVERY}th operation of the real file system`;
testUnless(noPreload())(
  faults,
  async () => {
    const shim = compileShim(compiled);
    if (shim === undefined) throw new Error('the shim does not compile');
    const cases = await allCases(compiled, shim, join(folder, 'dry'));
    for (let index = 0; index < cases.length; index += EVERY) {
      const given = cases[index];
      if (given === undefined) break;
      const { violations } = await runCase(compiled, shim, join(folder, 'case'), given);
      const name = nameOfCase(given);
      if (violations.length > 0)
        throw new Error(`${violations.join('\n')}\nnpm run proof:file:faults -- --case ${name}`);
    }
  },
  600_000,
);
