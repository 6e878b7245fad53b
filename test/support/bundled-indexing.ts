import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './project.js';

let bundle: Promise<string> | undefined;

/**
 * The program behind `npm start` in one file: `tsx` takes three times as long to start it, and some tests start it often.
 * Its worker threads, its page and its data are those of the sources. document-indexing.test.ts starts it as a user does.
 */
export function bundledIndexing(): Promise<string> {
  return (bundle ??= make());
}

async function make(): Promise<string> {
  mkdirSync(join(root, '.data'), { recursive: true });
  const folder = mkdtempSync(join(root, '.data', 'indexing-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, 'main.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['examples/document-indexing/main.ts'],
    outfile,
    bundle: true,
    packages: 'external',
    alias: {
      'batch-please': './src/index.ts',
      'batch-please/collectors': './collectors/index.ts',
    },
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'warning',
    plugins: [
      {
        name: 'each file is still where it was',
        setup({ onLoad }) {
          onLoad({ filter: /\/examples\/.*\.ts$/ }, async ({ path }) => ({
            contents: (await readFile(path, 'utf8')).replaceAll(
              'import.meta.url',
              JSON.stringify(pathToFileURL(path).href),
            ),
            loader: 'ts',
          }));
        },
      },
    ],
  });
  return outfile;
}
