import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const PROGRAMS = ['child', 'scene'];

/** The programs that are run as processes, each as one file: that starts in a tenth of a second, and thousands are killed. */
export function compile(): string {
  const target = fs.mkdtempSync(join(tmpdir(), 'bp-proof-'));
  buildSync({
    entryPoints: PROGRAMS.map((name) => `test/collectors/file/proof/${name}.ts`),
    bundle: true,
    platform: 'node',
    target: 'node20',
    outdir: target,
    logLevel: 'error',
  });
  return target;
}

export function childOf(compiled: string): string {
  return join(compiled, 'child.js');
}

export function sceneOf(compiled: string): string {
  return join(compiled, 'scene.js');
}
