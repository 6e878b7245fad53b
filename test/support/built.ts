import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync, type BuildOptions } from 'esbuild';
import { root } from './project.js';

// The library for programs that run in a process of their own. It is built once for each test file: `tsx` would transpile
// all sources in every process, which takes a second of processor time.

const ENTRIES = ['src/index.ts', 'collectors/index.ts'] as const;
type Entry = (typeof ENTRIES)[number];

const folder = mkdtempSync(join(tmpdir(), 'batch-built-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const common: BuildOptions = {
  absWorkingDir: root,
  entryPoints: [...ENTRIES],
  outbase: root,
  outdir: folder,
  bundle: true,
  platform: 'node',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'error',
};
buildSync({ ...common, format: 'esm', splitting: true, outExtension: { '.js': '.mjs' } });
buildSync({ ...common, format: 'cjs', outExtension: { '.js': '.cjs' } });

/** What stands behind `import` in a program: the entry points share their code. */
export function moduleOf(entry: Entry): string {
  return JSON.stringify(pathToFileURL(join(folder, entry.replace(/ts$/, 'mjs'))).href);
}

/** What stands in `require()`. */
export function commonJsOf(entry: Entry): string {
  return JSON.stringify(join(folder, entry.replace(/ts$/, 'cjs')));
}
