import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { root } from '../../support/project.js';
import { directory, removeDirectories } from '../../support/spool.js';

afterEach(removeDirectories);

const ITEMS = Number(process.env['WAITING_ITEMS'] ?? 1_000_000);

interface Result {
  delivered: number;
  sum: number;
  refused: number;
  mostDescriptors: number;
  heapUsed: number;
}

test('G16: a million items behind a sink that is down need no more than 64 descriptors and 40 MB, and all are delivered', () => {
  const folder = directory();
  // In one file: loading the sources one by one can take more descriptors than the limit.
  const program = join(folder, 'waiting.mjs');
  const entryPoints = [join(__dirname, 'waiting.ts')];
  buildSync({ entryPoints, outfile: program, bundle: true, platform: 'node', format: 'esm', absWorkingDir: root });
  const command = `ulimit -n 64; exec node --expose-gc ${program} ${join(folder, 'spool')} ${ITEMS}`;
  const result = JSON.parse(execFileSync('bash', ['-c', command], { encoding: 'utf8' })) as Result;
  expect(result).toMatchObject({ delivered: ITEMS, sum: (ITEMS * (ITEMS + 1)) / 2, refused: 0 });
  expect(result.mostDescriptors).toBeLessThan(50);
  expect(result.heapUsed).toBeLessThan(40_000_000);
}, 600_000);
