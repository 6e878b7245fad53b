import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './project.js';

const folder = mkdtempSync(join(tmpdir(), 'batch-program-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/**
 * A program of this project in one file, until the tests of the file have run: `npm` and `tsx` take seconds to start one,
 * and what only calculates takes three times as long inside jest.
 */
export async function bundledProgram(source: string): Promise<string> {
  const outfile = join(folder, basename(source).replace(/ts$/, 'mjs'));
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    sourcemap: 'inline',
    logLevel: 'error',
  });
  return outfile;
}
