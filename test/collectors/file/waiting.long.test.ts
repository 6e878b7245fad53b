// By hand: bash -c 'ulimit -n 64; node --expose-gc --import tsx test/collectors/file/waiting.ts DIRECTORY 1000000'
import { execFileSync } from 'node:child_process';
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
  const command = `ulimit -n 64; exec node --expose-gc --import tsx test/collectors/file/waiting.ts ${directory()} ${ITEMS}`;
  const result = JSON.parse(execFileSync('bash', ['-c', command], { encoding: 'utf8' })) as Result;
  expect(result).toMatchObject({ delivered: ITEMS, sum: (ITEMS * (ITEMS + 1)) / 2, refused: 0 });
  expect(result.mostDescriptors).toBeLessThan(50);
  expect(result.heapUsed).toBeLessThan(40_000_000);
}, 600_000);
