import { mustRun, root } from '../support/project.js';
import { type Proof, type SweepOptions, runSeed, watchStrayFailures } from './harness.js';

/** More than any of them takes: a slow machine gets the time that it needs. */
const TIME = 15 * 60_000;

/**
 * Consecutive seeds, all of which have to be sound, by the command that replays them: in a process of its own a run takes
 * a third of its time inside jest.
 */
export function testProof(proof: Proof, { from = 1, runs, without = [] }: SweepOptions): void {
  const left = without.length > 0 ? `, without ${without.join(', ')}` : '';
  test(
    `${runs} seeds from ${from} on${left}: each is sound`,
    async () => {
      const [npm = '', run = '', script = '', dashes = ''] = proof.command.split(' ');
      const options = ['--from', String(from), '--runs', String(runs), '--workers', '1'];
      if (without.length > 0) options.push('--without', without.join(','));
      const printed = await mustRun(npm, [run, '--silent', script, dashes, ...options], root, TIME);
      expect(printed).toContain(`${runs} runs from seed ${from} on, `);
    },
    TIME,
  );
}

/** Seeds that once found something, in this process; `found` says what that was. */
export function testKnownSeeds(
  proof: Proof,
  seeds: readonly (readonly [seed: number, found: string])[],
  without: readonly string[] = [],
): void {
  const left = without.length > 0 ? `, without ${without.join(', ')}` : '';
  test.each(seeds)(`seed %i${left}: %s`, async (seed) => {
    const unwatch = watchStrayFailures();
    try {
      expect((await runSeed(proof, seed, { without: new Set(without) })).violations).toEqual([]);
    } finally {
      unwatch();
    }
  });
}
