import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { manifest, mustRun, root } from '../support/project.js';
import { type Proof, type SweepOptions, runSeed, watchStrayFailures } from './harness.js';

/** More than any of them takes: a slow machine gets the time that it needs. */
const TIME = 15 * 60_000;

/**
 * Consecutive seeds, all of which have to be sound, by the program that replays them: in a process of its own a run takes
 * a third of its time inside jest. As one file it starts at once; `npm` and `tsx` take seconds.
 */
export function testProof(proof: Proof, { from = 1, runs, without = [] }: SweepOptions): void {
  const left = without.length > 0 ? `, without ${without.join(', ')}` : '';
  test(
    `${runs} seeds from ${from} on${left}: each is sound`,
    async () => {
      const options = ['--from', String(from), '--runs', String(runs), '--workers', '1'];
      if (without.length > 0) options.push('--without', without.join(','));
      const folder = mkdtempSync(join(tmpdir(), 'batch-proof-'));
      try {
        const program = join(folder, 'run.mjs');
        await build({
          absWorkingDir: root,
          entryPoints: [sourceOf(proof)],
          outfile: program,
          bundle: true,
          platform: 'node',
          format: 'esm',
          sourcemap: 'inline',
        });
        const printed = await mustRun(process.execPath, [program, ...options], root, TIME);
        expect(printed).toContain(`${runs} runs from seed ${from} on, `);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    TIME,
  );
}

/** What `npm run proof:…` runs. */
function sourceOf({ command }: Proof): string {
  const [, script = ''] = /^npm run (\S+) --$/.exec(command) ?? [];
  const [, source] = /^tsx (\S+)$/.exec(manifest().scripts[script] ?? '') ?? [];
  if (source === undefined) throw new Error(`${command} runs no simulation`);
  return source;
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
